"""Programs in ONNX compute the integers of the emulator, layer by layer."""

import importlib.util
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from conformance.exports.case import Case
from pipeline.chips import convert
from pipeline.errors import ModelError
from pipeline.exporters.formats import export
from pipeline.exporters.program_onnx import program_model, sums
from pipeline.importers import load_model
from pipeline.packages import MissingPackageError
from pipeline.quantization.integers import integers
from simulator import simulate
from tests.pipeline.exporters.quantized_models import FIXTURES, quantized, random_cases
from tests.pipeline.exporters.test_cnn2snn import LAYERS

pytest.importorskip("onnx")
RUNS = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="needs onnxruntime"
)
CONV = {"Conv2D": {"filters": 40, "kernel_size": 3, "padding": "same"}}


def examined(case):
    from conformance.exports.onnx import examine

    return examine(case)


def in_onnxruntime(program, images):
    import onnxruntime

    content = program_model(program).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["outputs"], {"images": images})[0]


@RUNS
@pytest.mark.parametrize("name", ["quantized_residual", "quantized_flatten", "quantized_slopes"])
def test_imported_models(name):
    with np.load(FIXTURES / f"{name}.npz") as arrays:
        images = arrays["images"]
    found = examined(Case(integers(load_model(FIXTURES / f"{name}.h5")), images))
    assert found["status"] == "equal", found


@RUNS
def test_random_networks():
    found = [examined(case) for case in random_cases(24)]
    assert {result["status"] for result in found} <= {"equal", "unusable"}, found
    assert sum(result.get("values", 0) for result in found) > 10_000


@RUNS
@pytest.mark.parametrize("activation_bits", [1, 2, 4])
def test_programs_of_akida_1_0(activation_bits):
    model, images = quantized(
        LAYERS, scheme="cnn2snn", weight_bits=4, activation_bits=activation_bits
    )
    found = examined(Case(model, images))
    assert found["status"] == "equal" and found["tensors"] == 3, found


def older_model(seed):
    """Return a random model that both schemes quantize and Akida 1.0 runs, its ending, images."""
    rng = np.random.default_rng(seed)

    def pick(*values):
        return values[rng.integers(len(values))]

    def neural(op):
        window = {"kernel_size": pick(1, 3, 5), "padding": pick("same", "valid")}
        strides = {} if op == "SeparableConv2D" else {"strides": pick(1, 2)}
        yield {op: {"filters": pick(3, 6, 9), **window, **strides}}
        if rng.random() < 0.4:
            yield {"MaxPooling2D": {"pool_size": 2, "padding": window["padding"]}}

    ending, scheme = pick("levels", "map", "flat", "average"), pick("quantizeml", "cnn2snn")
    layers = [{"Rescaling": {"scale": pick(1 / 255, 1.0)}}] if rng.random() < 0.7 else []
    for op in ("Conv2D", pick("Conv2D", "SeparableConv2D"))[: pick(1, 2)]:
        layers += [*neural(op), {"ReLU": {"max_value": pick(6.0, 1.5)}}]
    if ending == "average":
        layers += [{"Conv2D": {"filters": 5, "kernel_size": 1}}, {"GlobalAveragePooling2D": {}}]
        layers += [{"ReLU": {"max_value": 1.0}}]
    if ending == "map":
        layers += [{"Conv2D": {"filters": 2, "kernel_size": 1}}]
    layers += [{"Flatten": {}}] if ending == "flat" else []
    layers += [{"Dense": {"units": 3}}] if ending in ("flat", "average") else []
    bits = {"weight_bits": pick(2, 4), "activation_bits": 4}
    per_tensor = scheme == "quantizeml"
    shape = (pick(14, 17), pick(14, 16), pick(1, 3, 4))
    found = quantized(
        layers, shape, scheme=scheme, per_tensor_activations=per_tensor, **bits, refine="layers"
    )
    return f"{scheme} {ending}", *found


@RUNS
def test_random_programs_of_akida_1_0():
    seen = Counter()
    for seed in range(60):
        try:
            kind, model, images = older_model(seed)
            program = convert(model, "akida_v1")
        except ModelError:
            seen["unusable"] += 1
            continue
        wanted = simulate(program, images)
        assert np.array_equal(in_onnxruntime(program, images), wanted), (seed, kind)
        seen.update({kind, f"scale {program.output_scale is not None}", f"live {wanted.any()}"})
    kinds = {f"cnn2snn {ending}" for ending in ("levels", "map", "flat", "average")}
    kinds |= {f"quantizeml {ending}" for ending in ("map", "flat", "average")}
    assert kinds <= seen.keys() and seen["scale True"] > 3 and seen["live True"] > 30, seen
    assert seen["unusable"] < 20, seen


@RUNS
@pytest.mark.parametrize("per_axis", [False, True])
def test_programs_that_end_with_an_activation(per_axis):
    """Levels become values, in one unit or one per channel, as the emulator's outputs."""
    model, images = quantized(LAYERS[:4], scheme="cnn2snn", weight_bits=4, activation_bits=2)
    program = convert(model, "akida_v1")
    if per_axis:
        scales = tuple(np.exp2(np.arange(program.output_shape[-1]) - 2.0).tolist())
        program = replace(program, output_scale=scales)
    assert program.output_scale is not None
    found, wanted = (run(program, images) for run in (in_onnxruntime, simulate))
    assert found.dtype == wanted.dtype and np.array_equal(found, wanted) and wanted.any()


@RUNS
def test_sums_beyond_float32_are_split_into_digits():
    """A dense layer of 30,000 inputs at 8 bits may reach 2**29."""
    layers = [CONV, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 3}}]
    model, images = quantized(layers, shape=(28, 28, 3), spread=True)
    graph = program_model(convert(model, "akida_v2")).graph
    assert "Mod" in {node.op_type for node in graph.node}
    sizes = [len(tensor.raw_data) for tensor in graph.initializer]
    assert sizes.count(4 * 28 * 28 * 40 * 3) == 1  # all digits share the weights
    assert examined(Case(model, images))["status"] == "equal"


@RUNS
def test_several_outputs_are_joined_as_by_the_emulator():
    layers = [
        CONV,
        {"ReLU": {"name": "shared"}},
        {"Conv2D": {"filters": 2, "kernel_size": 1, "name": "map"}},
        {"Conv2D": {"filters": 5, "kernel_size": 1, "name": "other", "inputs": ["shared"]}},
        {"GlobalAveragePooling2D": {"name": "vector"}},
        {"Outputs": {"inputs": ["map", "vector"]}},
    ]
    model, images = quantized(layers)
    found = examined(Case(model, images))
    assert found["status"] == "equal" and found["outputs"] == len(images) * (8 * 8 * 2 + 5), found


@RUNS
def test_names_of_layers_may_be_those_of_the_file():
    names = ("images", "outputs", "images_layer", "net/conv_1", "outputs/cast_2", "outputs_layer")
    layers = [
        layer
        for name in names
        for layer in ({"Conv2D": {"filters": 3, "kernel_size": 1, "name": name}}, {"ReLU": {}})
    ]
    model, images = quantized(layers)
    found = examined(Case(model, images))
    assert found["status"] == "equal" and found["tensors"] == len(names) + 1, found


@RUNS
@pytest.mark.parametrize("exact", [1 << 11, 1 << 9])
def test_weights_whose_sums_exceed_float32_are_split_too(exact, monkeypatch):
    """As in a dense layer of 200,000 inputs; a smaller limit makes that of any layer."""
    layers = [CONV, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 3}}]
    model, images = quantized(layers, shape=(3, 3, 3), low=100, spread=True)
    program = convert(model, "akida_v2")
    before = len(program_model(program).graph.node)
    monkeypatch.setattr(sums, "EXACT", exact)
    nodes = program_model(program).graph.node
    assert sum(node.op_type in ("Conv", "MatMul") for node in nodes) > 4 and len(nodes) > before
    assert examined(Case(model, images))["status"] == "equal"


@RUNS
def test_more_inputs_than_float32_counts_are_refused(monkeypatch):
    model, _ = quantized([CONV, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 3}}])
    monkeypatch.setattr(sums, "EXACT", 1 << 6)
    with pytest.raises(ModelError, match=r"dense: has 2,560 inputs, more than 32, whose sums"):
        program_model(convert(model, "akida_v2"))


def test_files_are_standard_and_equal_for_equal_programs(tmp_path):
    model, _ = quantized([CONV, {"ReLU": {}}, {"GlobalAveragePooling2D": {}}])
    for name in ("a.onnx", "b.onnx"):
        assert export(tmp_path / name, model, "onnx") == ()
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    proto = program_model(convert(model, "akida_v2"))
    assert {node.domain for node in proto.graph.node} == {""}
    names = {output for node in proto.graph.node for output in node.output}
    assert {"outputs", *(layer.name for layer in convert(model, "akida_v2").layers)} <= names


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    model, _ = quantized([CONV, {"ReLU": {}}, {"GlobalAveragePooling2D": {}}])
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"crossgrade\[onnx\]"):
        export(tmp_path / "a.onnx", model, "onnx")
    assert not list(tmp_path.iterdir())
