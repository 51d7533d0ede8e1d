"""Sliding windows: output shape and padding of a node, by Keras' rules."""

from __future__ import annotations

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.float_kernels import Pair, pad
from simulator.windows import output_length, same_padding


def windowed_shape(node, shape, kernel: Pair, channels: int) -> tuple[int, ...]:
    """Return the output shape of a node with a window of size `kernel` on a map of `shape`.

    Raises
    ------
    ModelError
        If the window does not fit the map.
    """
    spatial = tuple(
        output_length(n, extent, s, node.attrs["padding"])
        for n, extent, s in _axes(node, shape, kernel)
    )
    if min(spatial) < 1:
        raise LayerError(
            node.name,
            f"a window of {kernel} does not fit its input of {shape[:2]}; use"
            " padding 'same', a smaller window or a larger image",
        )
    return (*spatial, channels)


def padded(node, x: np.ndarray, kernel: Pair, value: float | np.ndarray = 0) -> np.ndarray:
    """Return images (n, h, w, c) padded with `value` by the node's padding.

    Parameters
    ----------
    node : Node
        With the attributes ``padding``, ``strides`` and possibly ``dilation_rate``.
    x : float32 array (n, h, w, c)
    kernel : pair of int
    value : float or array of shape (c,)
    """
    if node.attrs["padding"] == "valid":
        return x
    rows, columns = (same_padding(*axis) for axis in _axes(node, x.shape[1:3], kernel))
    return pad(x, rows, columns, value)


def _axes(node, shape, kernel):
    """Return (size, extent of the dilated window, stride) of both axes."""
    strides = node.attrs["strides"] or kernel
    dilation = node.attrs.get("dilation_rate", (1, 1))
    extents = ((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    return tuple(zip(shape[:2], extents, strides, strict=True))
