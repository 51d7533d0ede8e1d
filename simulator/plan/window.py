"""Window of a compiled layer: its padding, and the size of its sums."""

from __future__ import annotations

import numpy as np

from simulator.plan.linear import Linear
from simulator.plan.workspace import Workspace
from simulator.windows import output_length, same_padding


def pads(shape, kernel, strides, padding: str) -> list[tuple[int, int]]:
    """Return the number of pixels added before and after each spatial axis."""
    if padding != "same":
        return [(0, 0), (0, 0)]
    return [same_padding(n, k, s) for n, k, s in zip(shape, kernel, strides, strict=True)]


class Window:
    """Geometry of a linear layer's windows.

    Parameters
    ----------
    linear : Linear
    input_shape : (height, width, channels)
    """

    def __init__(self, linear: Linear, input_shape):
        self.linear, self.input_shape = linear, input_shape
        self.pads, self.sums_shape = [(0, 0), (0, 0)], (1, 1)
        if linear.kind == "dense":
            return
        kernel, strides = linear.weights.shape[:2], linear.strides
        self.pads = pads(input_shape[:2], kernel, strides, linear.padding)
        self.sums_shape = tuple(
            output_length(n, k, s, linear.padding)
            for n, k, s in zip(input_shape[:2], kernel, strides, strict=True)
        )

    @property
    def pool_pads(self) -> list[tuple[int, int]]:
        """Padding of max pooling before and after each spatial axis of the sums."""
        linear = self.linear
        return pads(self.sums_shape, linear.pool_size, linear.pool_strides, linear.pool_padding)

    def padded(self, x: np.ndarray, dtype, work: Workspace) -> np.ndarray:
        """Return padded inputs (n, h, w, c), in scratch memory of `work`; `x` if none is added."""
        if not self.pads_any:
            return x
        padded = work.scratch("padded", (len(x), *self.padded_shape), dtype)
        self.fill(x, padded)
        return padded

    @property
    def pads_any(self) -> bool:
        """True if pixels are added."""
        return any(map(any, self.pads))

    @property
    def padded_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a padded input."""
        (top, bottom), (left, right) = self.pads
        height, width, channels = self.input_shape
        return height + top + bottom, width + left + right, channels

    def fill(self, x: np.ndarray, padded: np.ndarray) -> None:
        """Write inputs (n, h, w, c) and their padding to `padded`, of any shape of that size."""
        (top, _), (left, _) = self.pads
        height, width, _ = self.input_shape
        value = 0 if self.linear.padding_value is None else self.linear.padding_value
        padded = padded.reshape(len(x), *self.padded_shape)
        padded[:, :top] = value
        padded[:, top + height :] = value
        padded[:, top : top + height, :left] = value
        padded[:, top : top + height, left + width :] = value
        padded[:, top : top + height, left : left + width] = x
