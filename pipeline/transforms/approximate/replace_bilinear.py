"""Write bilinear interpolation as a transposed convolution."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.transforms.rewrite import Rewrite


def replace_bilinear(graph: Graph) -> Rewrite:
    """Replace bilinear UpSampling2D by a Conv2DTranspose of the stride of its size.

    By 2 it is the chip's 4x4 kernel of stride 2; other sizes run on the emulator only. Pixels
    inside are the same. At the edges Keras repeats the outermost pixels, where the layer adds
    zeros: by 2 it leaves 3/4 of the outermost rows and columns. The effect is measured.
    """
    changed = []

    def split(node: Node):
        if node.op != "UpSampling2D" or node.attrs["interpolation"] != "bilinear":
            return None
        if node.attrs["size"] == (1, 1):
            return []
        changed.append(node.name)
        return [_interpolating(node, graph.shapes[node.name][-1])]

    new = graph.rewrite(split)
    return Rewrite(graph=new, changed=tuple(changed), equivalent=not changed)


def _interpolating(node: Node, channels: int) -> Node:
    rows, columns = map(_shares, node.attrs["size"])
    kernel = np.outer(rows, columns)[:, :, None, None] * np.eye(channels)
    attrs = {"kernel_size": kernel.shape[:2], "strides": node.attrs["size"], "padding": "same"}
    attrs |= {"filters": channels, "use_bias": False}
    return make_node(node.name, "Conv2DTranspose", node.inputs, attrs, {"kernel": kernel})


def _shares(factor: int) -> np.ndarray:
    """Return a pixel's share of each output around it, which falls to 0 at the next pixels.

    Centres of outputs are a fraction of ``1 / factor`` apart, and for even factors none is that of
    the pixel.
    """
    count = 2 * factor - factor % 2
    distances = (np.arange(count) - (count - 1) / 2) / factor
    return 1 - np.abs(distances)
