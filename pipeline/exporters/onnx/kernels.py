"""How layers with a kernel are written in ONNX' operators."""

from __future__ import annotations

import numpy as np

from pipeline.exporters.onnx.sheet import Sheet
from pipeline.graph.node import Node
from simulator.windows import same_padding


def pads(sheet: Sheet, node: Node, kernel) -> list[int]:
    """Return ONNX' pads of a window: top, left, bottom, right."""
    if node.attrs["padding"] == "valid":
        return [0, 0, 0, 0]
    size = sheet.graph.shapes[node.inputs[0]]
    strides = node.attrs["strides"] or kernel
    dilation = node.attrs.get("dilation_rate", (1, 1))
    sides = [
        same_padding(n, (k - 1) * d + 1, s)
        for n, k, d, s in zip(size, kernel, dilation, strides, strict=False)
    ]
    return [side[0] for side in sides] + [side[1] for side in sides]


def _convolved(sheet, node, source, kernel, part="", *, group, bias=True) -> str:
    """Add a Conv whose window is the node's; `kernel` is OIHW."""
    inputs = [source, sheet.constant(node, part or "kernel", kernel)]
    if bias and node.attrs["use_bias"]:
        inputs.append(sheet.constant(node, "bias", node.weights["bias"]))
    size = kernel.shape[2:]
    own = part != "pointwise"
    return sheet.add(
        node,
        "Conv",
        inputs,
        part=part if part == "depthwise" else "",
        kernel_shape=size,
        strides=node.attrs["strides"] if own else (1, 1),
        dilations=node.attrs["dilation_rate"] if own else (1, 1),
        pads=pads(sheet, node, size) if own else [0, 0, 0, 0],
        group=group,
    )


def _oihw(kernel) -> np.ndarray:
    return kernel.transpose(3, 2, 0, 1)


def _each_channel(kernel) -> np.ndarray:
    """Return a depthwise kernel (height, width, channels, multiplier) as OIHW."""
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


def conv(sheet: Sheet, node: Node) -> str:
    """Write a convolution."""
    kernel, groups = _oihw(node.weights["kernel"]), node.attrs["groups"]
    return _convolved(sheet, node, sheet.source(node), kernel, group=groups)


def depthwise_conv(sheet: Sheet, node: Node) -> str:
    """Write a depthwise convolution."""
    kernel = node.weights["kernel"]
    return _convolved(sheet, node, sheet.source(node), _each_channel(kernel), group=kernel.shape[2])


def separable(sheet: Sheet, node: Node) -> str:
    """Write a separable convolution as two."""
    first, second = (node.weights[f"{part}_kernel"] for part in ("depthwise", "pointwise"))
    between = _convolved(
        sheet, node, sheet.source(node), _each_channel(first), "depthwise",
        group=first.shape[2], bias=False,
    )  # fmt: skip
    return _convolved(sheet, node, between, _oihw(second), "pointwise", group=1)


def transposed(sheet: Sheet, node: Node) -> str:
    """Write a transposed convolution: what Keras cuts off are pads, what it adds is padding."""
    kernel = node.weights["kernel"]
    size, strides = kernel.shape[:2], node.attrs["strides"]
    depthwise = node.operation.depthwise
    written = kernel.transpose(2, 3, 0, 1) if depthwise else _oihw(kernel)
    cuts = [max(k - s, 0) for k, s in zip(size, strides, strict=True)]
    if node.attrs["padding"] == "valid":
        cuts = [0, 0]
    inputs = [sheet.source(node), sheet.constant(node, "kernel", written)]
    if node.attrs["use_bias"]:
        inputs.append(sheet.constant(node, "bias", node.weights["bias"]))
    return sheet.add(
        node,
        "ConvTranspose",
        inputs,
        kernel_shape=size,
        strides=strides,
        group=kernel.shape[2] if depthwise else 1,
        pads=[*(cut // 2 for cut in cuts), *(cut - cut // 2 for cut in cuts)],
        output_padding=[max(s - k, 0) for k, s in zip(size, strides, strict=True)],
    )


def dense(sheet: Sheet, node: Node) -> str:
    """Write a matrix product: a 1x1 convolution on a map."""
    kernel, source = node.weights["kernel"], sheet.source(node)
    rank = len(sheet.graph.shapes[node.inputs[0]])
    bias = [sheet.constant(node, "bias", node.weights["bias"])] if node.attrs["use_bias"] else []
    if rank == 3:
        weights = sheet.constant(node, "kernel", kernel.T[:, :, None, None])
        return sheet.add(node, "Conv", [source, weights, *bias], kernel_shape=(1, 1))
    weights = sheet.constant(node, "kernel", kernel)
    if rank == 1:
        return sheet.add(node, "Gemm", [source, weights, *bias])
    product = sheet.add(node, "MatMul", [source, weights], part="product" if bias else "")
    return sheet.add(node, "Add", [product, *bias]) if bias else product
