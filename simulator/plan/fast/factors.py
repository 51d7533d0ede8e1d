"""Factors of a layer's products on the ``fast`` backend: window positions and tiled weights."""

from __future__ import annotations

import math

import numpy as np

from simulator.plan.fast import layout
from simulator.plan.fast.depthwise import CHANNELS, PIXELS
from simulator.plan.fast.products import sum_products
from simulator.plan.fast.tiles import POSITIONS
from simulator.plan.linear import Linear
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace

TILES = math.lcm(POSITIONS, PIXELS)
BLOCK_BYTES = 64 << 10
"""Size of the input block that stays in the cache while it is multiplied by all filters."""
INT16 = (-(1 << 15), (1 << 15) - 1)


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


class Factors:
    """Windows and weights of one layer.

    Parameters
    ----------
    linear : Linear
        Of any kind; for "separable" its depthwise part.
    input_shape : (height, width, channels)
    points : array, optional
        Kernels from `simulator.plan.fast.winograd.transformed` if the layer is computed that way.

    Attributes
    ----------
    bordered : bool
        True if the step before writes its output with the padding that the windows need.
    """

    bordered = False

    def __init__(self, linear: Linear, input_shape, points: np.ndarray | None = None):
        self.linear, self.window = linear, Window(linear, input_shape)
        self.shape, self.channels = self.window.sums_shape, input_shape[2]
        self.filters = linear.weights.shape[3]
        (top, bottom), (left, right) = self.window.pads
        height, width, channels = input_shape
        row = (width + left + right) * channels
        self.image = (height + top + bottom) * row
        self.steps = (self.image, linear.strides[0] * row, linear.strides[1] * channels)
        kh, kw = linear.weights.shape[:2]
        self.by_channel, flat = linear.kind in ("depthwise", "separable"), None
        if linear.kind == "dense":
            self.piece, flat = (1, 0), linear.weights.reshape(1, -1, linear.weights.shape[3])
            self.image = math.prod(input_shape)
            self.steps = (self.image, 0, 0)
        elif points is not None:
            self.piece, self.slack = channels // 2, 0
            self.weights = layout.winograd_panels(points)
        elif self.by_channel:
            self.taps, self.weights = layout.tap_pairs(linear.weights[..., 0], row)
            self.slack = CHANNELS if channels % CHANNELS else 0
        else:
            self.piece, flat = (kh, row), linear.weights.reshape(kh, kw * channels, -1)
            # Kernel rows as wide as the padded input are contiguous in memory: a single run.
            if kw * channels == row:
                self.piece, flat = (1, 0), flat.reshape(1, -1, flat.shape[2])
        if flat is not None:
            self.weights, pairs = layout.panels(flat)
            self.piece, self.slack = (*self.piece, pairs), flat.shape[1] % 2
        fresh = max(1, 2 * min(math.prod(linear.strides) * channels, self.image))
        self.block = max(1, BLOCK_BYTES // fresh // TILES) * TILES

    def flat(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return padded inputs (n, h, w, c) as int16 (size,)."""
        padded = work.owner(x) if self.bordered else None
        if padded is not None:
            return padded
        flat = work.scratch("padded", (len(x) * self.image + self.slack,), np.int16)
        self.window.fill(x, flat[: len(x) * self.image])
        return flat

    def arguments(self, x: np.ndarray, work: Workspace) -> tuple:
        """Return the first arguments of the loops in `products`, `depthwise` and `winograd`."""
        where = self.flat(x, work), self.shape, self.steps, len(x)
        if self.by_channel:
            return *where, self.taps, self.weights, self.channels, self.block
        return *where, self.weights, self.piece, self.filters, self.block

    def sums(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return sums of inputs (n, h, w, c) as int32 (n, height, width, filters)."""
        out = work.scratch("sums", (len(x) * math.prod(self.shape) * self.filters,), np.int32)
        sum_products(*self.arguments(x, work), out)
        return out.reshape(len(x), *self.shape, self.filters)
