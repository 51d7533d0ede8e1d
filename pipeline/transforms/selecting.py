"""Select pixels of a map; by a convolution without padding, so on the emulator only."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.node import Node


def selection(name: str, source: str, channels: int, *, size, place, strides=(1, 1)) -> Node:
    """Return a layer whose output is one pixel of each window.

    Parameters
    ----------
    name, source : str
    channels : int
    size, place, strides : pair of int
        Of the windows, of the pixel in each, and from one window to the next.
    """
    kernel = np.zeros((*size, channels, 1), np.float32)
    kernel[place] = 1
    attrs = {"kernel_size": size, "strides": strides, "padding": "valid", "use_bias": False}
    return make_node(name, "DepthwiseConv2D", [source], attrs, {"kernel": kernel})
