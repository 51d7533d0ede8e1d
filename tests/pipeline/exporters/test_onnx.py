"""Written ONNX files: onnxruntime computes what the graph does, and so does the graph read back."""

from collections import Counter

import numpy as np
import pytest

from conformance.agreement_models import random_model
from pipeline.errors import IncompatibleModelError
from pipeline.exporters import save_onnx
from pipeline.exporters.onnx.operators import OPERATORS
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.operations import OPERATIONS
from pipeline.models.file import read_float
from pipeline.packages import MissingPackageError
from pipeline.preparation.verification import random_images
from tests.pipeline.cli.test_migration_commands import run
from tests.pipeline.quantization.graphs import RELU, chain, conv

onnx = pytest.importorskip("onnx")
FIRST = (0, 3, 1, 2)
MAP = (6, 7, 4)
FLAT = ("Flatten", {})


def outputs(path, images):
    """Return what onnxruntime computes, in the order of the graph's axes."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    moved = any("images are" in note.text for note in read_float(path).notes)
    given = images.transpose(FIRST) if moved else images
    found = session.run(None, {entry.name: np.ascontiguousarray(given)})
    return [value.transpose(0, 2, 3, 1) if value.ndim == 4 else value for value in found]


def written(tmp_path, graph):
    """Write a graph, compare, and return the message."""
    path = tmp_path / "model.onnx"
    save_onnx(path, graph)
    images = random_images(graph, 3)
    seen = {}
    wanted = forward(graph, images, probe=seen.__setitem__)
    size = max(np.abs(wanted).max(), 1e-3)
    for end, found in zip(graph.ends, outputs(str(path), images), strict=True):
        assert found.shape == seen[end.name].shape
        # Pixels up to 255 make sums whose rounding a steep function enlarges.
        noise = 1e-4 if graph.input.attrs["dtype"] == "uint8" else 2e-5
        assert np.abs(found - seen[end.name]).max() <= noise * size
    again = read_float(path)
    assert again.input.attrs == graph.input.attrs
    assert np.abs(forward(again, images).reshape(wanted.shape) - wanted).max() <= 1e-5 * size
    return onnx.load(path)


def dense(units=3):
    return "Dense", {"units": units}


def pool(op, **attrs):
    return op, attrs


LAYERS = {
    "conv": [conv(5, (3, 2), strides=(2, 1))],
    "conv valid": [("Conv2D", {"filters": 3, "kernel_size": 3, "dilation_rate": 2})],
    "conv groups": [conv(6, groups=2, use_bias=False)],
    "depthwise": [("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2})],
    "separable": [("SeparableConv2D", {"filters": 3, "kernel_size": 3, "strides": 2})],
    "dense on a map": [dense()],
    "dense on rows": [("Reshape", {"target_shape": (14, 12)}), dense()],
    "flatten": [conv(5), FLAT, dense(4), RELU, dense(2)],
    "flatten a pixel": [pool("GlobalAveragePooling2D", keepdims=True), FLAT, dense()],
    "norm": [conv(3), ("BatchNormalization", {"epsilon": 0.01})],
    "norm of a vector": [FLAT, ("BatchNormalization", {"scale": False})],
    "norm without a shift": [conv(3), ("BatchNormalization", {"center": False})],
    "rescaling": [("Rescaling", {"scale": 0.1, "offset": -1.0}), conv(3)],
    "rescaling channels": [("Rescaling", {"scale": (1.0, 2.0, 0.5, 1.0), "offset": 1.0}), conv(3)],
    "relu 6 with a slope": [conv(3), ("ReLU", {"max_value": 6.0, "negative_slope": 0.1})],
    "leaky": [conv(3), ("LeakyReLU", {"negative_slope": 0.2})],
    "prelu": [conv(3), ("PReLU", {"shared_axes": (1, 2)})],
    "prelu of a vector": [FLAT, dense(), ("PReLU", {})],
    "softmax": [conv(3), ("Softmax", {"axis": -1})],
    "softmax of rows": [conv(3), ("Softmax", {"axis": 1})],
    "max": [conv(3), pool("MaxPooling2D", pool_size=3, strides=2, padding="same")],
    "max valid": [conv(3), pool("MaxPooling2D", pool_size=(2, 3))],
    "average": [conv(3), pool("AveragePooling2D", pool_size=3, strides=2, padding="same")],
    "average valid": [conv(3), pool("AveragePooling2D")],
    "global average": [conv(3), pool("GlobalAveragePooling2D"), dense()],
    "global max": [conv(3), pool("GlobalMaxPooling2D"), dense()],
    "global max of a map": [conv(3), pool("GlobalMaxPooling2D", keepdims=True), conv(2)],
    "padding": [("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}), conv(3)],
    "cropping": [conv(3), ("Cropping2D", {"cropping": ((1, 2), (0, 3))}), conv(3)],
    "upsampling": [conv(3), ("UpSampling2D", {"size": (2, 3)})],
    "permute": [conv(3), ("Permute", {"dims": (3, 1, 2)}), conv(2)],
    "permute rows": [("Reshape", {"target_shape": (14, 12)}), ("Permute", {"dims": (2, 1)}), FLAT],
    "reshape to a map": [conv(3), ("Reshape", {"target_shape": (7, 9, 2)}), conv(2)],
    "reshape a vector": [FLAT, dense(6), ("Reshape", {"target_shape": (1, 3, 2)}), conv(2)],
    "dropout": [conv(3), ("Dropout", {}), FLAT, dense()],
    "nothing but dense": [FLAT, dense()],
    **{
        f"transposed {kernel} {strides} {padding}": [
            ("Conv2DTranspose", {"filters": 3, "kernel_size": kernel, "strides": strides,
                                 "padding": padding}),
        ]
        for kernel in (1, 2, 3, 4, 5) for strides in (1, 2, 3) for padding in ("same", "valid")
    },
    "depthwise transposed": [("DepthwiseConv2DTranspose", {"kernel_size": 3})],
    **{
        name: [conv(3), ("Activation", {"activation": name})]
        for name in ("softmax", "sigmoid", "tanh", "gelu", "swish", "hard_silu", "linear", "relu6")
    },
    "leaky_relu": [conv(3), ("Activation", {"activation": "leaky_relu", "alpha": 0.2})],
    "add": [conv(4), ("Add", {}, ("input", "conv2d_1"))],
    "add three": [conv(4), conv(4), ("Add", {}, ("input", "conv2d_1", "conv2d_2"))],
    "average of two": [conv(4), ("Add", {"average": True}, ("input", "conv2d_1"))],
    "concatenate": [conv(3), ("Concatenate", {}, ("input", "conv2d_1"))],
    "concatenate rows": [conv(4), ("Concatenate", {"axis": 1}, ("input", "conv2d_1"))],
    "gate": [conv(4), pool("GlobalAveragePooling2D", keepdims=True), conv(4, 1),
             ("Multiply", {}, ("conv2d_1", "conv2d_3"))],
    "product of three": [conv(4), conv(4), ("Multiply", {}, ("input", "conv2d_1", "conv2d_2"))],
    "outputs": [conv(3), FLAT, dense(), ("Outputs", {}, ("dense_3", "conv2d_1"))],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(tmp_path, name, dtype):
    if dtype == "uint8" and LAYERS[name][0][0] not in ("Rescaling", "Conv2D", "Flatten"):
        pytest.skip("as float32")
    graph = chain(*LAYERS[name], shape=MAP, dtype=dtype)
    message = written(tmp_path, graph)
    names = {node.name for node in message.graph.node}
    assert {n.name for n in graph.nodes[1:] if n.op not in ("Outputs",)} <= names
    assert [entry.name for entry in message.graph.output] == [end.name for end in graph.ends]
    onnx.checker.check_model(message, full_check=True)


def test_every_operation_is_written_here():
    drawn = {layer[0] for layers in LAYERS.values() for layer in layers}
    assert drawn - {"Outputs"} == set(OPERATORS)
    kept = {op for op, operation in OPERATIONS.items() if operation.in_keras and op != "Input"}
    assert kept <= set(OPERATORS)


def test_random_models(tmp_path):
    seen = Counter()
    for seed in range(60):
        graph = random_model(seed, ("akida_v1", "akida_v2")[seed % 2])
        try:
            written(tmp_path, graph)
            seen["equal"] += 1
        except IncompatibleModelError as error:
            assert "ONNX has no layer" in str(error) or "takes " in str(error)
            seen["refused"] += 1
    assert seen["equal"] >= 30, seen


def test_equal_graphs_give_equal_bytes_with_the_channels_first(tmp_path):
    graph = chain(conv(3), RELU, shape=MAP)
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    save_onnx(first, graph)
    save_onnx(second, graph)
    assert first.read_bytes() == second.read_bytes()
    (entry,) = onnx.load(first).graph.input
    assert [dim.dim_value for dim in entry.type.tensor_type.shape.dim][1:] == [4, 6, 7]
    # A model without layers on maps keeps its input as it is.
    save_onnx(first, chain(FLAT, dense(), shape=MAP))
    (entry,) = onnx.load(first).graph.input
    assert [dim.dim_value for dim in entry.type.tensor_type.shape.dim][1:] == [6, 7, 4]


def test_what_onnx_lacks_is_refused_all_at_once(tmp_path):
    graph = chain(
        conv(3), ("ReLU", {"threshold": 1.0}), ("QuantizedReLU", {"bits": 4}), dtype="int8"
    )
    with pytest.raises(IncompatibleModelError) as refused:
        save_onnx(tmp_path / "m.onnx", graph)
    text = str(refused.value)
    assert all(part in text for part in ("takes int8", "threshold 1", "no layer QuantizedReLU"))
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'crossgrade\[onnx\]'"):
        save_onnx(tmp_path / "m.onnx", chain(conv(3), shape=MAP))


def test_migrate_writes_onnx(tmp_path):
    from pipeline.cli.migrate import command

    old, new = tmp_path / "old.onnx", tmp_path / "new.onnx"
    graph = chain(("SeparableConv2D", {"filters": 4, "kernel_size": 3}), RELU, shape=MAP)
    graph = graph.with_nodes((*graph.nodes, make_node("end", "Softmax", (graph.output,))), "end")
    save_onnx(old, graph)
    done = run(command, old, "-o", new)
    assert done.exit_code == 0, done.exception
    assert read_float(new).output == "end" and onnx.load(new).graph.output[0].name == "end"
