"""Export of a float graph to ONNX, to compare with onnxruntime: only the layers of `NETS`."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from simulator.windows import same_padding

IR_VERSION, OPSET = 8, 17


def save_onnx(path, graph) -> None:
    """Write a chain of layers as an ONNX model of NCHW float32 images.

    Raises
    ------
    KeyError
        If a layer occurs in no network of the benchmark.
    """
    nodes, weights, name = [], [], "images"

    def weight(key: str, values) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values, np.float32), key))
        return key

    for node in graph.nodes:
        if node.op in ("Input", "Dropout"):
            continue
        kind, inputs, attributes = MAKERS[node.op](node, weight, graph.shapes[node.inputs[0]])
        nodes.append(helper.make_node(kind, [name, *inputs], [node.name], **attributes))
        name = node.name
        if node.op == "GlobalAveragePooling2D":
            nodes.append(helper.make_node("Flatten", [name], [f"{name}/flat"]))
            name = f"{name}/flat"
    height, width, channels = graph.input.attrs["shape"]
    shape = ["images", channels, height, width]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["images", None])],
            weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.save(model, path)


def _convolution(node, weight, shape, group: int):
    kernel = node.weights["kernel"]
    kernel = kernel.transpose(2, 3, 0, 1) if group > 1 else kernel.transpose(3, 2, 0, 1)
    size, strides = node.attrs["kernel_size"], node.attrs["strides"]
    pads = [(0, 0), (0, 0)]
    if node.attrs["padding"] == "same":
        pads = [same_padding(n, k, s) for n, k, s in zip(shape[:2], size, strides, strict=True)]
    inputs = [weight(f"{node.name}/kernel", kernel)]
    if node.attrs["use_bias"]:
        inputs.append(weight(f"{node.name}/bias", node.weights["bias"]))
    (top, bottom), (left, right) = pads
    options = {"strides": strides, "group": group, "pads": [top, left, bottom, right]}
    return "Conv", inputs, options


def _batchnorm(node, weight, shape):
    keys = ("gamma", "beta", "moving_mean", "moving_variance")
    inputs = [weight(f"{node.name}/{key}", node.weights[key]) for key in keys]
    return "BatchNormalization", inputs, {"epsilon": node.attrs["epsilon"]}


def _relu(node, weight, shape):
    if node.attrs["max_value"] is None:
        return "Relu", [], {}
    limits = [weight(f"{node.name}/low", 0), weight(f"{node.name}/high", node.attrs["max_value"])]
    return "Clip", limits, {}


def _dense(node, weight, shape):
    keys = ("kernel", "bias") if node.attrs["use_bias"] else ("kernel",)
    return "Gemm", [weight(f"{node.name}/{key}", node.weights[key]) for key in keys], {}


MAKERS = {
    "BatchNormalization": _batchnorm,
    "Conv2D": lambda node, weight, shape: _convolution(node, weight, shape, 1),
    "Dense": _dense,
    "DepthwiseConv2D": lambda node, weight, shape: _convolution(node, weight, shape, shape[2]),
    "Flatten": lambda node, weight, shape: ("Flatten", [], {}),
    "GlobalAveragePooling2D": lambda node, weight, shape: ("GlobalAveragePool", [], {}),
    "ReLU": _relu,
    "Rescaling": lambda node, weight, shape: (
        "Mul", [weight(f"{node.name}/scale", node.attrs["scale"])], {},
    ),
    "Softmax": lambda node, weight, shape: ("Softmax", [], {}),
}  # fmt: skip
"""Keras layer to (ONNX operator, further inputs, attributes)."""
