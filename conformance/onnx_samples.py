"""Small ONNX models with the operators and the shape arithmetic that exporters write."""

from __future__ import annotations

import numpy as np
import onnx


def onnx_samples() -> dict[str, onnx.ModelProto]:
    """Return models by name."""
    return {"onnx_chain": _chain(), "onnx_heads": _heads(), "onnx_outputs": _outputs()}


def _node(op, inputs, output, **attrs):
    return onnx.helper.make_node(op, inputs.split(), [output], name=f"/{output}/{op}", **attrs)


def _model(nodes, shape, outputs, opset, constants):
    rng = np.random.default_rng(0)
    info = onnx.helper.make_tensor_value_info
    arrays = {
        name: rng.normal(size=value).astype(np.float32) if isinstance(value, tuple) else value
        for name, value in constants.items()
    }
    graph = onnx.helper.make_graph(
        nodes,
        "sample",
        [info("x", onnx.TensorProto.FLOAT, ["N", *shape])],
        [info(name, onnx.TensorProto.FLOAT, None) for name in outputs.split()],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    imports = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=7)


def _chain():
    """A classifier whose flatten is computed from its own shape."""
    nodes = [
        _node("Sub", "x mean", "centred"),
        _node("Conv", "centred w1 b1", "c1", pads=[1, 1, 1, 1], strides=[2, 2]),
        _node("BatchNormalization", "c1 g g g v", "n1"),
        _node("Clip", "n1 zero six", "r1"),
        _node("Conv", "r1 w2", "c2", group=4, pads=[1, 1, 1, 1]),
        _node("HardSigmoid", "c2", "h2", alpha=1 / 6, beta=0.5),
        _node("Mul", "c2 h2", "r2"),
        _node("MaxPool", "r2", "p2", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Shape", "p2", "shape"),
        _node("Gather", "shape first", "batch", axis=0),
        _node("Unsqueeze", "batch", "batches", axes=[0]),
        _node("Concat", "batches rest", "target", axis=0),
        _node("Reshape", "p2 target", "flat"),
        _node("Gemm", "flat w3 b3", "logits", transB=1),
        _node("Softmax", "logits", "y", axis=1),
    ]
    constants = {
        **{
            "mean": (3, 1, 1),
            "w1": (4, 3, 3, 3),
            "b1": (4,),
            "g": (4,),
            "v": np.ones(4, np.float32),
        },
        **{
            "zero": np.float32(0),
            "six": np.float32(6),
            "w2": (4, 1, 3, 3),
            "w3": (5, 16),
            "b3": (5,),
        },
        **{"first": np.int64(0), "rest": np.array([-1])},
    }
    constants = {k: v if isinstance(v, tuple) else np.asarray(v) for k, v in constants.items()}
    return _model(nodes, (3, 8, 8), "y", 11, constants)


def _heads():
    """A detector that enlarges, joins, and ends in boxes."""
    nodes = [
        _node("Conv", "x w1", "c1", auto_pad="SAME_UPPER", strides=[2, 2]),
        _node("LeakyRelu", "c1", "r1", alpha=0.1),
        _node("AveragePool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Resize", "p1 none scales", "u1", mode="nearest", nearest_mode="floor"),
        _node("Concat", "u1 r1", "j1", axis=1),
        _node("ConvTranspose", "j1 w2", "t1", strides=[2, 2]),
        _node("Pad", "t1 pads", "z1"),
        _node("Conv", "z1 w3", "c3"),
        _node("Transpose", "c3", "last", perm=[0, 2, 3, 1]),
        _node("Reshape", "last target", "boxes"),
        _node("Sigmoid", "boxes", "y"),
    ]
    nodes[3].input[1] = ""
    nodes[3].attribute.append(
        onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric")
    )
    constants = {
        **{"w1": (4, 3, 3, 3), "w2": (8, 4, 2, 2), "w3": (6, 4, 1, 1)},
        "scales": np.array([1, 1, 2, 2], np.float32),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]),
        "target": np.array([0, -1, 3]),
    }
    return _model(nodes, (3, 8, 8), "y", 13, constants)


def _outputs():
    """A network with a squeeze-and-excite gate and two outputs, which is carried in part."""
    nodes = [
        _node("Conv", "x w1", "c1", pads=[1, 1, 1, 1]),
        _node("Relu", "c1", "r1"),
        _node("ReduceMean", "r1", "m1", axes=[2, 3]),
        _node("Conv", "m1 w2", "c2"),
        _node("HardSigmoid", "c2", "g1"),
        _node("Mul", "r1 g1", "s1"),
        _node("Conv", "s1 w2", "c3"),
        _node("Sigmoid", "c3", "y"),
        _node("Flatten", "s1", "f1", axis=1),
        _node("MatMul", "f1 w3", "p1"),
        _node("Add", "p1 b3", "z"),
    ]
    constants = {"w1": (4, 3, 3, 3), "w2": (4, 4, 1, 1), "w3": (256, 3), "b3": (3,)}
    return _model(nodes, (3, 8, 8), "y z", 11, constants)
