"""Layers on the ``fast`` backend: 16-bit whole numbers in and out, compiled register tiles."""

from __future__ import annotations

import math

import numpy as np

from simulator.integer import Tally
from simulator.plan.fast import layout, pooling
from simulator.plan.fast.depthwise import CHANNELS, PIXELS, convolve_channels
from simulator.plan.fast.products import POSITIONS, convolve, sum_products, total_products
from simulator.plan.linear import Linear
from simulator.plan.proofs import NEVER, Staircase
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace

TILES = math.lcm(POSITIONS, PIXELS)
BLOCK_BYTES = 64 << 10
"""Input that stays in the cache while all filters pass over it."""
INT16 = (-(1 << 15), (1 << 15) - 1)


def fits(linear: Linear, bound: int, input_range) -> bool:
    """Say whether 16-bit factors and 32-bit sums hold everything that a layer adds up.

    Parameters
    ----------
    linear : Linear
    bound : int
        Largest magnitude of a partial sum.
    input_range : (low, high)
    """
    inner = int(np.abs(linear.weights).sum(axis=(0, 1)).max(initial=0))
    if linear.pointwise is not None:
        # The depthwise sums are factors too.
        inner *= max(map(abs, input_range))
        if not _is_int16(inner, int(np.abs(linear.pointwise).max(initial=0))):
            return False
    weights = int(np.abs(linear.weights).max(initial=0))
    return bound < 1 << 31 and _is_int16(*input_range, weights)


def _is_int16(*values: int) -> bool:
    return all(INT16[0] <= value <= INT16[1] for value in values)


class Products:
    """The products of one layer: where its windows lie, and its weights in tiles.

    Parameters
    ----------
    linear : Linear
        Of kind "conv" or "dense", or the first part of "depthwise" and "separable".
    input_shape : (height, width, channels)
    """

    def __init__(self, linear: Linear, input_shape):
        self.linear, self.window = linear, Window(linear, input_shape)
        self.shape, self.channels = self.window.sums_shape, input_shape[2]
        self.filters = linear.weights.shape[3]
        (top, bottom), (left, right) = self.window.pads
        height, width, channels = input_shape
        row = (width + left + right) * channels
        self.image = (height + top + bottom) * row
        self.steps = (self.image, linear.strides[0] * row, linear.strides[1] * channels)
        kh, kw = linear.weights.shape[:2]
        self.by_channel = linear.kind in ("depthwise", "separable")
        if linear.kind == "dense":
            self.piece, flat = (1, 0), linear.weights.reshape(1, -1, linear.weights.shape[3])
            self.image = math.prod(input_shape)
            self.steps = (self.image, 0, 0)
        elif self.by_channel:
            self.taps, self.weights = layout.tap_pairs(linear.weights[..., 0], row)
            self.slack = CHANNELS if channels % CHANNELS else 0
        else:
            self.piece, flat = (kh, row), linear.weights.reshape(kh, kw * channels, -1)
            # Rows of a 1-wide kernel over a 1-wide input are neighbours: one run.
            if kw * channels == row:
                self.piece, flat = (1, 0), flat.reshape(1, -1, flat.shape[2])
        if not self.by_channel:
            self.weights, pairs = layout.panels(flat)
            self.piece, self.slack = (*self.piece, pairs), flat.shape[1] % 2
        fresh = max(1, 2 * min(math.prod(linear.strides) * channels, self.image))
        self.block = max(1, BLOCK_BYTES // fresh // TILES) * TILES

    def flat(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return inputs (n, h, w, c) inside their border as int16 (size,)."""
        inside = self.window.pads == [(0, 0), (0, 0)]
        if inside and not self.slack and x.dtype == np.int16 and x.flags.c_contiguous:
            return x.reshape(-1)
        flat = work.scratch("padded", (len(x) * self.image + self.slack,), np.int16)
        self.window.fill(x, flat[: len(x) * self.image])
        return flat

    def arguments(self, x: np.ndarray, work: Workspace) -> tuple:
        """Return what the loops of `products` and `depthwise` take first."""
        where = self.flat(x, work), self.shape, self.steps, len(x)
        if self.by_channel:
            return *where, self.taps, self.weights, self.channels, self.block
        return *where, self.weights, self.piece, self.filters, self.block

    def sums(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return sums of inputs (n, h, w, c) as int32 (n, height, width, filters)."""
        out = work.scratch("sums", (len(x) * math.prod(self.shape) * self.filters,), np.int32)
        sum_products(*self.arguments(x, work), out)
        return out.reshape(len(x), *self.shape, self.filters)


class Levels:
    """A staircase in the form that the tiles take.

    Parameters
    ----------
    stairs : Staircase
    integers : (scale, offset)
        Of `Staircase.integers`.
    by_channel : bool
        Whether a depthwise tile reads it.
    beyond : bool
        Let saturated values keep a level of their own, as pooling needs them to be counted later.
    """

    def __init__(self, stairs: Staircase, integers, *, by_channel: bool, beyond: bool):
        fill = layout.per_channel if by_channel else layout.per_filter
        scaled = tuple(layout.lane_pairs(fill(values)) for values in integers)
        low, high = stairs.low, stairs.high.astype(np.int32)
        # The level above the last one is proven too, so that saturations are counted exactly.
        last = stairs.low + len(stairs.first) + 1
        over, under = stairs.over < NEVER, bool((stairs.under > -NEVER).any())
        self.registers = (*scaled, low, fill(high))
        self.counted = (None, 0 if under else None)
        if over.any():
            # What fills up a tile never saturates, nor do channels that stop before.
            never = np.int32((1 << 31) - 1)
            self.counted = (
                fill(np.where(over, np.int32(last), never), never),
                self.counted[1],
            )
        if beyond:
            high = np.where(over, np.int32(last), high)
            self.widened = (*scaled, low - under, fill(high))


class FastStep:
    """Computes one layer from whole numbers to int16 whole numbers by its staircase.

    Parameters
    ----------
    linear : Linear
        That `fits`.
    stairs : Staircase
        Its levels, and one beyond them, fit int16.
    integers : (scale, offset)
        Of `Staircase.integers`.
    input_shape, output_shape : (height, width, channels)
    """

    path = "fast int32"
    whole = True

    def __init__(self, linear: Linear, stairs: Staircase, integers, input_shape, output_shape):
        self.linear, self.output_shape = linear, output_shape
        self.products = Products(linear, input_shape)
        self.filters, self.pool = linear.filters, linear.pool_size is not None
        self.low, self.high = stairs.low, stairs.high.astype(np.int16)
        self.mixing = None
        if linear.kind == "separable":
            self.mixing = _mixing(linear, self.products.shape)
            # Depthwise sums fit 16 bits and stay as they are.
            highest = np.full(linear.weights.shape[2], INT16[1], np.int32)
            self.inner = (None, None, INT16[0], layout.per_channel(highest))
        by_channel = linear.kind == "depthwise"
        self.levels = Levels(stairs, integers, by_channel=by_channel, beyond=self.pool)

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for whole numbers (n, h, w, c), taken from `work`."""
        out = work.take((len(x), *self.output_shape), np.int16)
        counting = tally is not None
        if self.pool:
            registers = self.levels.widened if counting else self.levels.registers
            shape = (len(x), *self.products.shape, self.filters)
            wide = work.scratch("levels", shape, np.int16)
            self._levels(x, work, registers, (None, None), wide)
            linear, pads = self.linear, self.products.window.pool_pads
            saturated = pooling.max_pool(
                wide, linear.pool_size, linear.pool_strides, (pads[0][0], pads[1][0]),
                self.low, self.high, out,
            )  # fmt: skip
        else:
            counted = self.levels.counted if counting else (None, None)
            saturated = self._levels(x, work, self.levels.registers, counted, out)
        if counting and saturated:
            tally("output", int(saturated))
        return out

    def _levels(self, x, work: Workspace, registers, counted, out) -> int:
        """Write the levels of all windows to `out`; return how many saturate."""
        if self.mixing is not None:
            shape = (len(x), *self.products.shape, x.shape[3])
            mixed = work.scratch("depthwise", shape, np.int16)
            _by_channel(self.products, x, work, self.inner, (None, None), mixed)
            return _by_filter(self.mixing, mixed, work, registers, counted, out)
        write = _by_channel if self.products.by_channel else _by_filter
        return write(self.products, x, work, registers, counted, out)


class FastSums:
    """Computes the sums of one layer in int32; the layer's own arithmetic does the rest.

    Parameters
    ----------
    linear : Linear
        That `fits`, of kind "conv" or "dense".
    input_shape : (height, width, channels)
    finish : function of (int64 sums, tally) to the layer's output
    """

    path = "sums int32"
    whole = False

    def __init__(self, linear: Linear, input_shape, finish):
        self.products, self.finish = Products(linear, input_shape), finish

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for whole numbers (n, h, w, c)."""
        return self.finish(self.products.sums(x, work).astype(np.int64), tally)


class FastPooledSums:
    """Computes one layer up to its global sum in integers.

    Parameters
    ----------
    linear, input_shape : as in `FastSums`
    pool : simulator.plan.global_pool.GlobalSum
        Sums with bias stay below 2**24.
    """

    path = "sums pooled"
    whole = False

    def __init__(self, linear: Linear, input_shape, pool):
        self.products, self.pool = Products(linear, input_shape), pool
        least, most = -(1 << 31), (1 << 31) - 1
        bounds = pool.bias, _or(pool.low, least), _or(pool.high, most)
        self.filters = linear.filters
        self.bounds = tuple(
            layout.per_filter(np.broadcast_to(bound, self.filters).astype(np.int32))
            for bound in bounds
        )

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for whole numbers (n, h, w, c)."""
        totals, products = np.zeros((len(x), self.filters), np.int64), self.products
        total_products(*products.arguments(x, work), *self.bounds, totals)
        return self.pool.finish(totals[:, None, None], tally)


def _or(bound, otherwise: int):
    return otherwise if bound is None else bound


def _by_filter(products: Products, x, work: Workspace, registers, counted, out) -> int:
    places = out.reshape(-1), _steps(out.shape)
    return convolve(*products.arguments(x, work), *registers, *counted, *places)


def _by_channel(products: Products, x, work: Workspace, registers, counted, out) -> int:
    places = out.reshape(-1), _steps(out.shape)
    return convolve_channels(*products.arguments(x, work), *registers, *counted, *places)


def _steps(shape) -> tuple[int, int, int]:
    """Return how far images, rows and columns of an array (n, h, w, c) lie apart."""
    _, height, width, channels = shape
    return height * width * channels, width * channels, channels


def _mixing(linear: Linear, shape) -> Products:
    """Return the second part of a separable convolution."""
    pointwise = Linear(kind="conv", weights=linear.pointwise[None, None])
    return Products(pointwise, (*shape, len(linear.pointwise)))
