"""Replace average pooling, which Akida lacks."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.transforms.rewrite import Rewrite
from simulator.windows import output_length, same_padding


def replace_average_pooling(graph: Graph) -> Rewrite:
    """Replace AveragePooling2D by a global average or a depthwise convolution.

    A pooling of the whole map becomes a GlobalAveragePooling2D that keeps its dimensions. Any other
    becomes a DepthwiseConv2D with equal weights, if no window extends over the edge, where Keras
    averages fewer pixels.
    """
    changed = []

    def split(node: Node):
        if node.op != "AveragePooling2D":
            return None
        new = _replacement(node, graph.shapes[node.inputs[0]])
        if new is not None:
            changed.append(node.name)
        return None if new is None else [new]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))


def _replacement(node, shape):
    pool, padding = node.attrs["pool_size"], node.attrs["padding"]
    strides = node.attrs["strides"] or pool
    axes = list(zip(shape[:2], pool, strides, strict=True))
    if all(output_length(n, k, s, padding) == 1 and k >= n for n, k, s in axes):
        return make_node(node.name, "GlobalAveragePooling2D", node.inputs, {"keepdims": True})
    if padding == "same" and any(same_padding(*axis) != (0, 0) for axis in axes):
        return None
    # If no window extends over the edge, both paddings are equivalent; the chip prefers 'same'.
    exact = all((n - k) % s == 0 and same_padding(n, k, s) == (0, 0) for n, k, s in axes)
    attrs = {
        "kernel_size": pool,
        "strides": strides,
        "padding": "same" if exact else padding,
        "use_bias": False,
    }
    kernel = np.full((*pool, shape[-1], 1), 1 / (pool[0] * pool[1]), np.float32)
    return make_node(node.name, "DepthwiseConv2D", node.inputs, attrs, {"kernel": kernel})
