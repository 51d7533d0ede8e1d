"""Small ONNX models, and what onnxruntime and crossgrade compute with them."""

import ast

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_float
from pipeline.messages.notes import INPUT
from pipeline.models.wanted import AS_IT_IS

onnx = pytest.importorskip("onnx")
FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
RELATIVE, ABSOLUTE = 1e-5, 2e-6
# onnxruntime's own sigmoid is an approximation.


def node(op, *inputs, out="y", **attrs):
    outputs = [out] if isinstance(out, str) else list(out)
    return onnx.helper.make_node(op, list(inputs), outputs, name=f"{op}_{outputs[0]}", **attrs)


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def model(*nodes, shape, opset=17, outputs=("y",), batch="N", dtype=FLOAT, **constants):
    """Return a model of the input x whose sizes without the batch are `shape`."""
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        list(nodes),
        "small",
        [info("x", dtype, [batch, *shape])],
        [info(name, FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    imports = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=8)


def ints(*values):
    return np.array(values, np.int64)


def images_of(made, count=3, seed=1):
    """Return images in the order of the file, with values on both sides of 0."""
    kind = made.graph.input[0].type.tensor_type
    batch, *shape = (dim.dim_value for dim in kind.shape.dim)
    rng = np.random.default_rng(seed)
    if kind.elem_type == UINT8:
        return rng.integers(0, 256, (batch or count, *shape), dtype=np.uint8)
    return (3 * rng.normal(size=(batch or count, *shape))).astype(np.float32)


def expected(made, images):
    """Return the outputs that onnxruntime computes."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    # Its optimizer takes a Transpose of vectors that moves nothing for one that does.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": images})


def read(folder, made, wanted=AS_IT_IS):
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return load_float(path, wanted)


def computed(graph, images):
    """Return the outputs that a graph computes, with the axes of the file."""
    order, orders = range(images.ndim), {}
    for note in graph.notes:
        _, found, axes = note.text.rpartition("ONNX' axes ")
        if found and note.kind == INPUT:
            order = ast.literal_eval(axes)
        elif found:
            orders |= dict.fromkeys(note.layers, ast.literal_eval(axes))
    values = {}
    # One batch, since a probe is called once per batch.
    forward(graph, images.transpose(order), batch_size=len(images), probe=values.__setitem__)
    outputs = [(end.name, values[end.name]) for end in graph.ends]
    return [y.transpose(np.argsort(orders.get(name, range(y.ndim)))) for name, y in outputs]


def assert_equal(found, wanted, what=None):
    """Check that outputs agree with those of onnxruntime."""
    assert [y.shape for y in found] == [y.shape for y in wanted], what
    for one, other in zip(found, wanted, strict=True):
        scale = np.abs(other).max(initial=0)
        assert np.abs(one - other).max(initial=0) <= RELATIVE * scale + ABSOLUTE, what


def same(made, folder) -> bool:
    """Check that a model is read and computes the same; return False where it is refused."""
    images = images_of(made)
    try:
        graph = read(folder, made)
    except ModelError as error:
        assert len(str(error)) < 4000
        return False
    assert_equal(computed(graph, images), expected(made, images))
    return True
