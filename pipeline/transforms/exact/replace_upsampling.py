"""Write repeated pixels as the transposed convolutions that the chip has."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.transforms.rewrite import Rewrite
from simulator.akida_v2.limits import TRANSPOSED_KERNELS, TRANSPOSED_STRIDE

SIDE = min(TRANSPOSED_KERNELS)


def replace_upsampling(graph: Graph) -> Rewrite:
    """Replace UpSampling2D by Conv2DTranspose layers of stride 2, of ones and zeros.

    For interpolation 'nearest'. Sizes of 2, 4, 8 and so on, the same in both directions, become
    layers that double the map; others become one layer of that stride, which runs on the emulator
    only. A DepthwiseConv2DTranspose would need fewer weights, but Keras has none, so that no Keras
    file could hold it.
    """
    changed = []

    def split(node):
        if node.op != "UpSampling2D" or node.attrs["interpolation"] != "nearest":
            return None
        changed.append(node.name)
        chain, source, count = [], node.inputs[0], _doublings(node)
        if not count:
            return [] if node.attrs["size"] == (1, 1) else [_repeating(node, graph)]
        for step in range(count):
            name = graph.part_name(node.name, str(step + 1)) if step < count - 1 else node.name
            chain.append(_doubling(name, source, graph.shapes[node.name][-1]))
            source = name
        return chain

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))


def _doublings(node: Node) -> int:
    """Return how many layers of stride 2 make an upsampling; 0 where none do."""
    rows, columns = node.attrs["size"]
    if rows != columns or rows & (rows - 1):
        return 0
    return rows.bit_length() - 1


def _repeating(node: Node, graph: Graph) -> Node:
    """Return a layer whose kernel of ones is as large as its stride."""
    channels, size = graph.shapes[node.name][-1], node.attrs["size"]
    kernel = np.ones((*size, 1, 1), np.float32) * np.eye(channels, dtype=np.float32)
    attrs = {"kernel_size": size, "strides": size, "padding": "same"}
    attrs |= {"filters": channels, "use_bias": False}
    return make_node(node.name, "Conv2DTranspose", node.inputs, attrs, {"kernel": kernel})


def _doubling(name, source, channels) -> Node:
    """Return a layer that writes each pixel twice in both directions.

    With stride 2 and padding 'same' a 3x3 kernel reaches output rows 2i to 2i + 2 from input row
    i, cut at the end: its first two taps are the pixel's own rows.
    """
    kernel = np.zeros((SIDE, SIDE, channels, channels), np.float32)
    kernel[:TRANSPOSED_STRIDE, :TRANSPOSED_STRIDE] = np.eye(channels)
    attrs = {"kernel_size": SIDE, "strides": TRANSPOSED_STRIDE, "padding": "same"}
    attrs |= {"filters": channels, "use_bias": False}
    return make_node(name, "Conv2DTranspose", [source], attrs, {"kernel": kernel})
