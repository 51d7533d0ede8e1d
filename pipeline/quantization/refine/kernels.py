"""Refine the kernels of one layer, those of a fused separable convolution one after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.node import Node
from pipeline.quantization.fixed_point import quantize_weights, weight_scales
from pipeline.quantization.refine.layer import Rows, plain_error, refine_layer

Draw = Callable[[Node, Node], tuple[Rows, Rows]]
"""Draws rows to fit and to choose by, of a layer as refined so far and of the float one."""
KERNEL = ("kernel_size", "strides", "padding", "dilation_rate")


def refine_kernels(head: Node, target: Node, bits: int, draw: Draw) -> Node:
    """Return a layer with better kernels and bias by held-out rows, or the layer itself.

    Parameters
    ----------
    head : Node
        Covered by `pipeline.quantization.refine.rows`; its kernels take the factors of the
        channels before.
    target : Node
        The same layer of the float model.
    bits : int
        Width of a weight, sign included.
    draw : function of (head, target)
    """
    if head.op != "SeparableConv2D":
        return refine_layer(head, bits, *draw(head, target)).node
    today = _depthwise_rounded(head, bits)
    limit = plain_error(today, bits, draw(today, target)[1])
    depthwise = _depthwise(head)
    rows = draw(depthwise, _depthwise(target))
    folded = _folded(head, refine_layer(depthwise, bits, *rows).node, bits)
    choice = refine_layer(folded, bits, *draw(folded, target))
    return choice.node if choice.error < limit else head


def _depthwise(node: Node) -> Node:
    """Return the first half of a separable convolution."""
    attrs = {key: node.attrs[key] for key in KERNEL if key in node.attrs}
    weights = {"kernel": node.weights["depthwise_kernel"]}
    attrs["use_bias"] = False
    return make_node(node.name, "DepthwiseConv2D", node.inputs, attrs, weights)


def _depthwise_rounded(node: Node, bits: int) -> Node:
    """Return a separable convolution whose depthwise kernel is on today's grid."""
    kernel = node.weights["depthwise_kernel"]
    scale = weight_scales(kernel, bits, None)
    values = quantize_weights(kernel, bits, scale) * scale
    return node.with_weights(depthwise_kernel=values.astype(np.float32))


def _folded(node: Node, depthwise: Node, bits: int) -> Node:
    """Return a separable convolution whose depthwise kernel holds integers.

    Nothing is quantized between the two kernels: each depthwise channel is rounded with a scale of
    its own, which the pointwise kernel takes.
    """
    kernel = depthwise.weights["kernel"]
    scales = weight_scales(kernel, bits, -2)
    integers = quantize_weights(kernel, bits, scales[:, None])
    return node.with_weights(
        depthwise_kernel=integers.astype(np.float32),
        pointwise_kernel=node.weights["pointwise_kernel"] * scales[:, None],
    )
