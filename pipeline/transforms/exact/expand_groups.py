"""Replace grouped convolutions and depth multipliers by full convolutions."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.transforms.rewrite import Rewrite

KEYS = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")


def expand_groups(graph: Graph) -> Rewrite:
    """Replace grouped Conv2D and layers with a depth multiplier by full Conv2D.

    The full kernel has zeros between groups; that of a SeparableConv2D with a depth multiplier is
    the product of its two kernels. A Conv2D with one group per channel is kept: it is a
    DepthwiseConv2D.
    """
    changed = []

    def split(node):
        kernel = _kernel(node, graph.shapes[node.inputs[0]][-1]) if node.inputs else None
        if kernel is None:
            return None
        changed.append(node.name)
        attrs = {key: node.attrs[key] for key in KEYS} | {"filters": kernel.shape[-1]}
        bias = {"bias": node.weights["bias"]} if node.attrs["use_bias"] else {}
        return [make_node(node.name, "Conv2D", node.inputs, attrs, {"kernel": kernel, **bias})]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))


def _kernel(node, channels):
    """Return the full (kh, kw, channels, filters) kernel; None if the layer is not expanded."""
    multiplier, groups = node.attrs.get("depth_multiplier", 1), node.attrs.get("groups", 1)
    if node.op == "DepthwiseConv2D" and multiplier > 1:
        return _spread(node.weights["kernel"])
    if node.op == "SeparableConv2D" and multiplier > 1:
        depthwise = _spread(node.weights["depthwise_kernel"])
        return depthwise @ node.weights["pointwise_kernel"][0, 0]
    if node.op == "Conv2D" and groups > 1 and not groups == node.attrs["filters"] == channels:
        kernel = node.weights["kernel"]
        filters = kernel.shape[-1] // groups
        full = np.zeros((*kernel.shape[:2], channels, kernel.shape[-1]), np.float32)
        for group in range(groups):
            rows = slice(group * kernel.shape[2], (group + 1) * kernel.shape[2])
            columns = slice(group * filters, (group + 1) * filters)
            full[:, :, rows, columns] = kernel[..., columns]
        return full
    return None


def _spread(kernel):
    """Return the full kernel of a depthwise kernel (kh, kw, channels, multiplier)."""
    *window, channels, multiplier = kernel.shape
    full = np.zeros((*window, channels, channels, multiplier), np.float32)
    index = np.arange(channels)
    full[:, :, index, index] = kernel
    return full.reshape(*window, channels, channels * multiplier)
