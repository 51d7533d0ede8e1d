"""Write bilinear interpolation as the transposed convolutions that the chip has."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.transforms.rewrite import Rewrite
from simulator.akida_v2.limits import TRANSPOSED_STRIDE

SHARES = np.float32([0.25, 0.75, 0.75, 0.25])
"""Of a pixel in the rows that stride 2 places around it, for centres half a pixel apart."""


def replace_bilinear(graph: Graph) -> Rewrite:
    """Replace bilinear UpSampling2D by 2, 4, 8... by Conv2DTranspose layers of 4x4 and stride 2.

    Pixels inside are the same. At the edges Keras repeats the outermost pixels, where the chip adds
    zeros: each doubling leaves 3/4 of the outermost row and column, which is measured.
    """
    changed = []

    def split(node: Node):
        if node.op != "UpSampling2D" or not _applies(node):
            return None
        changed.append(node.name)
        count = node.attrs["size"][0].bit_length() - 1
        chain, source = [], node.inputs[0]
        for step in range(count):
            last = step == count - 1
            name = node.name if last else graph.part_name(node.name, str(step + 1))
            chain.append(_doubling(name, source, graph.shapes[node.name][-1]))
            source = name
        return chain

    new = graph.rewrite(split)
    return Rewrite(graph=new, changed=tuple(changed), equivalent=not changed)


def _applies(node: Node) -> bool:
    rows, columns = node.attrs["size"]
    doubles = rows == columns > 1 and not rows & (rows - 1)
    return doubles and node.attrs["interpolation"] == "bilinear"


def _doubling(name, source, channels) -> Node:
    side = len(SHARES)
    kernel = np.outer(SHARES, SHARES)[:, :, None, None] * np.eye(channels, dtype=np.float32)
    attrs = {"kernel_size": side, "strides": TRANSPOSED_STRIDE, "padding": "same"}
    attrs |= {"filters": channels, "use_bias": False}
    return make_node(name, "Conv2DTranspose", [source], attrs, {"kernel": kernel})
