"""Factors of a layer's products on the ``fast`` backend: windows of the input, and weights."""

from __future__ import annotations

import math

import numpy as np

from simulator.plan.fast import depthwise, layout, products, winograd
from simulator.plan.fast.kernels import Kernels
from simulator.plan.fast.tensor import Layout
from simulator.plan.linear import Linear
from simulator.plan.window import Window
from simulator.plan.workspace import aligned

BLOCK_BYTES = 64 << 10
"""Size of the input block that stays in the cache while it is multiplied by all filters."""
INT16 = (-(1 << 15), (1 << 15) - 1)
OFFSET = 128
"""Number added to signed bytes, which makes them unsigned."""


def fits(linear: Linear, bound: int, input_range) -> bool:
    """Return True if 16-bit factors and 32-bit sums are exact for a layer.

    Parameters
    ----------
    linear : Linear
    bound : int
        Largest magnitude of a partial sum.
    input_range : (low, high)
    """
    inner = int(np.abs(linear.weights).sum(axis=(0, 1)).max(initial=0))
    if linear.pointwise is not None:
        # Depthwise sums are the factors of the pointwise convolution.
        inner *= max(map(abs, input_range))
        if not _is_int16(inner, int(np.abs(linear.pointwise).max(initial=0))):
            return False
    weights = int(np.abs(linear.weights).max(initial=0))
    return bound < 1 << 31 and _is_int16(*input_range, weights)


def _is_int16(*values: int) -> bool:
    return all(INT16[0] <= value <= INT16[1] for value in values)


def byte_offset(linear: Linear, input_range) -> int | None:
    """Return what to add to the inputs to make products of bytes; None if they do not fit.

    Unsigned inputs times signed weights: a product of bytes is below 2**15 and exact, and a sum,
    whose true value is below 2**31, is exact modulo 2**32. Signed inputs are offset by 128, and the
    sums by -128 times the sum of the weights.
    """
    low, high = input_range
    weights = linear.weights
    if weights.min(initial=0) < -128 or weights.max(initial=0) > 127:
        return None
    if low >= 0 and high <= 255:
        return 0
    return OFFSET if low >= -OFFSET and high < OFFSET else None


def narrowest(low: int, high: int, dots: bool) -> np.dtype:
    """Return the dtype of levels: bytes where they fit and there are products of bytes."""
    if dots and low >= 0 and high <= 255:
        return np.dtype(np.uint8)
    return np.dtype(np.int8 if dots and low >= -128 and high <= 127 else np.int16)


class Factors:
    """Windows and weights of one layer.

    Parameters
    ----------
    linear : Linear
        Of any kind; for "separable" its depthwise part.
    input_shape : (height, width, channels)
    input_range : (low, high)
        Of the inputs and the padding value.
    kernels : Kernels

    Attributes
    ----------
    unit : {"bytes", "words"}
    path : str
        Method of the products, for users.
    """

    def __init__(self, linear: Linear, input_shape, input_range, kernels: Kernels):
        vectors = kernels.vectors
        self.linear, self.kernels = linear, kernels
        self.input_shape = tuple(input_shape)
        self.window = Window(linear, input_shape)
        self.shape = self.window.sums_shape
        offset = byte_offset(linear, input_range) if vectors.dots else None
        self.unit, self.offset = ("words", 0) if offset is None else ("bytes", offset)
        self.dtype = np.dtype(np.int16 if offset is None else np.uint8)
        # A dense layer reads its inputs as one window.
        shape = (1, 1, math.prod(input_shape)) if linear.kind == "dense" else input_shape
        self.layout = Layout(tuple(shape), self.dtype, tuple(self.window.pads))
        self.by_channel = linear.kind in ("depthwise", "separable")
        self.filters = linear.weights.shape[2 if self.by_channel else 3]
        self.path, self.arguments = self.unit, self._steps()
        if self.by_channel:
            self._channels(vectors)
        elif not self._winograd(input_range, vectors):
            self._tiles(vectors)
        sums = linear.weights.sum(axis=(0, 1))
        sums = sums[:, 0] if self.by_channel else sums.sum(axis=0)
        self.initial = -self.offset * sums

    def _steps(self) -> dict:
        image, row, column = self.layout.steps
        strides = self.linear.strides
        fresh = max(1, min(math.prod(strides) * column, image))
        tile = 4 * self.kernels.vectors.positions
        return {
            "image_step": image, "row_step": strides[0] * row, "column_step": strides[1] * column,
            "height": self.shape[0], "width": self.shape[1], "filters": self.filters,
            "block": max(1, BLOCK_BYTES // fresh // tile) * tile,
        }  # fmt: skip

    def _channels(self, vectors) -> None:
        _, row, column = self.layout.steps
        weights = self.linear.weights[..., 0]
        taps, panel = layout.tap_groups(weights, row, column, self.unit, vectors)
        steps = len(taps) // layout.UNITS[self.unit][0]
        self.kernel = f"depthwise_{self.unit}"
        self.arguments |= {"taps": taps, "weights": panel, "steps": steps}
        self.scratch = products.scratch_size(
            self.arguments["block"], depthwise.pixels(vectors, self.unit)
        )

    def _winograd(self, input_range, vectors) -> bool:
        """Use Winograd's method if it needs fewer instructions; products of bytes never do more."""
        if self.unit == "bytes":
            return False
        points = winograd.transformed(self.linear, self.shape, input_range, vectors)
        if points is None:
            return False
        channels = self.input_shape[2]
        self.kernel, self.path = "winograd", "winograd"
        panel = layout.winograd_panels(points, vectors)
        self.arguments |= {"weights": panel, "steps": channels // 2}
        self.scratch = winograd.scratch_size(vectors, channels)
        return True

    def _tiles(self, vectors) -> None:
        kh, kw, channels, _ = self.linear.weights.shape
        row = self.layout.steps[1]
        runs, flat = kh, self.linear.weights.reshape(kh, kw * channels, -1)
        # Kernel rows as wide as the padded input are contiguous in memory: a single run.
        if kw * channels * self.dtype.itemsize == row:
            runs, flat = 1, flat.reshape(1, -1, flat.shape[2])
        panel, steps = layout.panels(flat, self.unit, vectors)
        self.kernel = f"convolve_{self.unit}"
        self.arguments |= {"weights": panel, "runs": runs, "run_step": row, "steps": steps}
        self.scratch = products.scratch_size(self.arguments["block"], vectors.positions)

    def start(self, vectors) -> np.ndarray:
        """Return the number from which the sums of each filter start, int32."""
        return layout.padded(self.initial.astype(np.int32), vectors)

    def template(self) -> np.ndarray:
        """Return a padded row of padding, as the copy of the input needs it."""
        value = 0 if self.linear.padding_value is None else self.linear.padding_value
        row = np.zeros(self.layout.padded_shape[1:], np.int64)
        row[:] = value
        row += self.offset
        flat = aligned(row.size, self.dtype)
        flat[:] = row.reshape(-1)
        return flat
