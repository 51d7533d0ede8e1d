"""What is read from an ONNX file, what is refused, and in which words."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import ModelError
from pipeline.importers import load_float, load_model, quantized_by
from pipeline.models.wanted import Wanted
from tests.pipeline.importers.onnx_models import ints, model, node, onnx, read, weights


def small(**others):
    return model(
        node("Conv", "x", "w", out="c", pads=[1, 1, 1, 1]),
        node("Relu", "c", out="r"),
        node("GlobalAveragePool", "r", out="g"),
        node("Flatten", "g", out="f"),
        node("Gemm", "f", "m", "b"),
        **{"shape": (3, 6, 6), **others},
        w=weights(4, 3, 3, 3),
        m=weights(4, 5),
        b=weights(5),
    )


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_names_are_those_of_the_file(tmp_path):
    made = small()
    made.graph.node[0].name = "/features/0/Conv"
    made.graph.node[1].name = ""
    graph = read(tmp_path, made)
    assert [n.name for n in graph.nodes] == [
        "x",
        "features/0/Conv",
        "Relu_r",
        "GlobalAveragePool_g",
        "Gemm_y",
    ]
    assert graph.shapes["x"] == (6, 6, 3)


def test_the_content_decides_not_the_suffix(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(small().SerializeToString())
    assert load_model(path).output == "Gemm_y"
    assert quantized_by(path) is None


def test_open_sizes_are_asked_for_and_checked(tmp_path):
    open_sizes = small(shape=(3, "height", "width"))
    with pytest.raises(
        ModelError, match=r"\(batch, 3, \?, \?\); say .* model.input_shape, for example 3,224"
    ):
        read(tmp_path, open_sizes)
    graph = read(tmp_path, open_sizes, Wanted(input_shape=(3, 10, 12)))
    assert graph.shapes["x"] == (10, 12, 3)
    with pytest.raises(ModelError, match="found the input shape 1,10,12"):
        read(tmp_path, open_sizes, Wanted(input_shape=(1, 10, 12)))
    found = run("describe", tmp_path / "model.onnx", "--input-shape", "3,10,12")
    assert found.exit_code == 0 and "10, 12, 3" in found.output
    assert run("describe", tmp_path / "model.onnx", "--input-shape", "3,x").exit_code == 2


def test_a_model_may_end_earlier(tmp_path):
    graph = read(tmp_path, small(), Wanted(until="/Relu_r"))
    assert graph.output == "Relu_r" and len(graph.nodes) == 3
    with pytest.raises(ModelError, match="has no node 'other'; the last are Conv_c, Relu_r"):
        read(tmp_path, small(), Wanted(until="other"))


def test_all_refusals_come_at_once(tmp_path):
    made = model(
        node("Elu", "x", out="e"),
        node("Mish", "x", out="h"),
        node("Mul", "e", "h", out="m"),
        node("LRN", "m", out="n", size=3),
        node("Relu", "n", out="p"),
        shape=(3, 6, 6),
        outputs=("p", "e"),
    )
    with pytest.raises(ModelError) as refused:
        read(tmp_path, made)
    for text in ("Elu_e (Elu)", "Mish_h (Mish)", "LRN_n (LRN)"):
        assert text in str(refused.value)


def test_several_outputs_are_read_one_after_the_other(tmp_path):
    made = model(
        node("Relu", "x", out="p"),
        node("Sigmoid", "x", out="e"),
        shape=(3, 6, 6),
        outputs=("p", "e"),
    )
    graph = read(tmp_path, made)
    assert [end.name for end in graph.ends] == ["Relu_p", "Sigmoid_e"]
    assert graph.shapes[graph.output] == (2 * 108,)


def test_quantized_models_are_refused_with_advice(tmp_path):
    made = model(
        node("QuantizeLinear", "x", "s", "z", out="q"),
        node("DequantizeLinear", "q", "s", "z"),
        shape=(4,),
        s=np.array(0.1, np.float32),
        z=np.array(0, np.uint8),
    )
    with pytest.raises(ModelError, match=r"QuantizeLinear.*give the float model"):
        read(tmp_path, made)


@pytest.mark.parametrize("opset", [6, 23, 99])
def test_other_opsets_are_refused(tmp_path, opset):
    with pytest.raises(ModelError, match=f"of opset {opset}; allowed: 7 to 22"):
        read(tmp_path, small(opset=opset))


def external(made, location, **entries):
    """The model with its first constant in another file."""
    tensor = made.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return content


def test_weights_beside_the_file_are_read(tmp_path):
    made = small()
    whole = read(tmp_path, made)
    (tmp_path / "weights.bin").write_bytes(b"1234" + external(made, "weights.bin", offset=4))
    again = read(tmp_path, made)
    assert np.array_equal(
        again.node("Conv_c").weights["kernel"], whole.node("Conv_c").weights["kernel"]
    )


@pytest.mark.parametrize(
    ("location", "entries"),
    [
        ("../weights.bin", {}),
        ("/etc/passwd", {}),
        ("link.bin", {}),
        ("", {}),
        ("missing.bin", {}),
        ("folder/weights.bin", {}),
        ("weights.bin\0", {}),
        ("weights.bin", {"offset": 10**12}),
        ("weights.bin", {"offset": -4}),
        ("weights.bin", {"length": 10**9}),
        ("weights.bin", {"offset": "x"}),
    ],
)
def test_weights_elsewhere_are_refused(tmp_path, location, entries):
    folder = tmp_path / "inner"
    (folder / "folder").mkdir(parents=True)
    made = small()
    content = external(made, location, **entries)
    for place in (tmp_path, folder, folder / "folder"):
        (place / "weights.bin").write_bytes(content)
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(ModelError, match=r"keeps the weights|the weights '|the place of"):
        read(folder, made)


def cyclic():
    made = small()
    made.graph.node[0].input[0] = "y"
    return made


def unknown_tensor():
    made = small()
    made.graph.node[1].input[0] = "nothing"
    return made


def not_finite():
    made = small()
    values = np.full((4, 5), np.nan, np.float32)
    made.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(values, "m"))
    return made


def wrong_dims():
    made = small()
    made.graph.initializer[0].dims[0] = 10**12
    return made


def twice():
    made = small()
    made.graph.node[1].output[0] = "c"
    return made


def large():
    return model(
        node("ConstantOfShape", "s", out="c"),
        node("Add", "x", "c"),
        shape=(4,),
        s=ints(1 << 40, 1 << 40),
    )


def enlarged():
    nodes = [
        node("Resize", "x" if i == 0 else f"r{i}", "", "s", out=f"r{i + 1}", mode="nearest")
        for i in range(8)
    ]
    scales = np.array([1, 1, 1000, 1000], np.float32)
    return model(*nodes, shape=(1, 2, 2), outputs=("r8",), s=scales)


def without_nodes():
    made = small()
    del made.graph.node[:]
    return made


def several_inputs():
    made = small()
    made.graph.input.append(made.graph.input[0])
    made.graph.input[1].name = "other"
    made.graph.node[0].input[0] = "sum"
    made.graph.node.insert(0, node("Add", "x", "other", out="sum"))
    return made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cyclic, "waits for its own output"),
        (unknown_tensor, "nothing computes the tensor 'nothing'"),
        (not_finite, r"Gemm_y \(Dense\): its kernel holds values that are not finite"),
        (wrong_dims, "the constant 'w' is damaged"),
        (twice, "computed or given twice"),
        (large, r"Constant\w* \(ConstantOfShape\): its constants do not fit"),
        (enlarged, "its output has the sizes"),
        (without_nodes, "has no graph"),
        (several_inputs, r"found 2 inputs \(x, other\)"),
    ],
)
def test_hostile_models_get_one_clear_error(tmp_path, make, message):
    with pytest.raises(ModelError, match=message) as refused:
        read(tmp_path, make())
    assert len(str(refused.value)) < 2000


@pytest.mark.parametrize("content", [b"", b"\x08", b"\x08\x07", b"onnx", b"\x08\x08" + bytes(99)])
def test_what_is_no_protobuf_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="it is damaged, or no ONNX file"):
        load_float(path)


def test_a_long_chain_of_functions_is_read_in_bounded_time(tmp_path):
    names = ["x", *(f"t{i}" for i in range(3000)), "y"]
    nodes = [
        node("Mul", a, a, out=b) if i % 2 else node("Sigmoid", a, out=b)
        for i, (a, b) in enumerate(itertools.pairwise(names))
    ]
    assert len(read(tmp_path, model(*nodes, shape=(4,))).nodes) == 3002


def test_migrate_carries_an_onnx_file_and_verify_reads_it_again(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(small(shape=(3, "h", "w")).SerializeToString())
    shape = ("--input-shape", "3,12,12")
    assert run("check", path, *shape).exit_code in (0, 1)
    out = tmp_path / "new.keras"
    found = run("migrate", path, *shape, "-o", out)
    assert found.exit_code == 0, found.output
    assert "ONNX' axes (0, 2, 3, 1)" in found.output
    assert run("verify", tmp_path / "new_certificate").exit_code == 0


@pytest.mark.slow
def test_without_the_package_the_command_says_how_to_install_it(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(small().SerializeToString())
    code = (
        "import sys; sys.modules['onnx'] = None; from pipeline.cli.main import main;"
        f" sys.argv = ['crossgrade', 'check', {str(path)!r}]; main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 1
    assert "pip install 'crossgrade[onnx]'" in found.stderr
