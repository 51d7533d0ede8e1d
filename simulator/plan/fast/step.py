"""Steps of the ``fast`` backend: int16 inputs and outputs, compiled register tiles."""

from __future__ import annotations

import numpy as np

from simulator.integer import Tally
from simulator.plan.fast import layout
from simulator.plan.fast.border import Border
from simulator.plan.fast.depthwise import convolve_channels
from simulator.plan.fast.factors import INT16, Factors
from simulator.plan.fast.levels import Levels
from simulator.plan.fast.pooling import max_pool
from simulator.plan.fast.products import convolve, total_products
from simulator.plan.fast.winograd import convolve_tiles, transformed
from simulator.plan.linear import Linear
from simulator.plan.proofs import Staircase
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace


class FastStep:
    """Step that computes a layer's int16 levels by its staircase.

    Parameters
    ----------
    linear : Linear
        Must satisfy `simulator.plan.fast.factors.fits`.
    stairs : Staircase
        Its levels, and one more at either end, must fit int16.
    integers : (scale, offset)
        int64 (channels,) from `Staircase.integers`.
    input_shape, output_shape : (height, width, channels)
    input_range : (low, high)
        Of the inputs and the padding value.
    """

    path = "fast int32"
    gives_levels = True

    def __init__(
        self, linear: Linear, stairs: Staircase, integers, input_shape, output_shape, input_range
    ):
        self.linear, self.border = linear, Border(output_shape)
        points = transformed(linear, Window(linear, input_shape).sums_shape, input_range)
        self.factors = Factors(linear, input_shape, points)
        self.loops = convolve_channels if self.factors.by_channel else convolve
        if points is not None:
            self.path, self.loops = f"{self.path} winograd", convolve_tiles
        self.pool = linear.pool_size is not None
        self.low, self.high = stairs.low, stairs.high.astype(np.int16)
        self.mixing = None
        if linear.kind == "separable":
            pointwise = Linear(kind="conv", weights=linear.pointwise[None, None])
            between = (*self.factors.shape, input_shape[2])
            self.between, self.mixing = Border(between), Factors(pointwise, between)
            self.between.slack, self.mixing.bordered = self.mixing.slack, True
            # Depthwise sums fit 16 bits and are not rescaled.
            highest = np.full(input_shape[2], INT16[1], np.int32)
            self.inner = (None, None, INT16[0], layout.per_channel(highest))
        self.levels = Levels(
            stairs, integers, by_channel=linear.kind == "depthwise", beyond=self.pool
        )
        if self.pool:
            self.wide = Border((*self.factors.shape, linear.filters))

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the levels for integer-valued inputs (n, h, w, c), in memory taken from `work`."""
        first, out = self.border.take(work, len(x))
        counting = tally is not None
        if self.pool:
            registers = self.levels.widened if counting else self.levels.registers
            wide_first, wide = self.wide.take(work, len(x))
            self._levels(x, work, registers, (None, None), wide_first, self.wide.steps)
            linear, pads = self.linear, self.factors.window.pool_pads
            saturated = max_pool(
                wide, linear.pool_size, linear.pool_strides, (pads[0][0], pads[1][0]),
                self.low, self.high, out,
            )  # fmt: skip
            work.release(wide)
        else:
            counted = self.levels.counted if counting else (None, None)
            registers, steps = self.levels.registers, self.border.steps
            saturated = self._levels(x, work, registers, counted, first, steps)
        if counting and saturated:
            tally("output", int(saturated))
        return out

    def measure(self, output: np.ndarray, work: Workspace) -> tuple[int, int, int]:
        """Return the number of zeros, the smallest and the largest value of an output."""
        return self.border.measure(work.owner(output), len(output))

    def _levels(self, x, work: Workspace, registers, counted, out, steps) -> int:
        """Write the levels of all windows to `out`; return the number of saturated values."""
        factors = self.factors
        if self.mixing is not None:
            first, mixed = self.between.take(work, len(x))
            arguments = factors.arguments(x, work)
            convolve_channels(*arguments, *self.inner, None, None, first, self.between.steps)
            arguments = self.mixing.arguments(mixed, work)
            saturated = convolve(*arguments, *registers, *counted, out, steps)
            work.release(mixed)
            return saturated
        return self.loops(*factors.arguments(x, work), *registers, *counted, out, steps)


class FastSums:
    """Step that computes the sums of a layer in int32; `finish` computes its output from them.

    Parameters
    ----------
    linear : Linear
        Of kind "conv" or "dense"; must satisfy `simulator.plan.fast.factors.fits`.
    input_shape : (height, width, channels)
    finish : function (int64 sums, tally) -> array
        Computes the layer's output.
    """

    path = "sums int32"
    gives_levels = False

    def __init__(self, linear: Linear, input_shape, finish):
        self.factors, self.finish = Factors(linear, input_shape), finish

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for integer-valued inputs (n, h, w, c)."""
        return self.finish(self.factors.sums(x, work).astype(np.int64), tally)


class FastPooledSums:
    """Step that computes one layer up to its global sum in integers.

    Parameters
    ----------
    linear, input_shape : as in `FastSums`
    pool : simulator.plan.global_pool.GlobalSum
        Magnitudes of sums plus bias must be below 2**24.
    """

    path = "sums pooled"
    gives_levels = False

    def __init__(self, linear: Linear, input_shape, pool):
        self.factors, self.pool = Factors(linear, input_shape), pool
        least, most = -(1 << 31), (1 << 31) - 1
        bounds = pool.bias, _or(pool.low, least), _or(pool.high, most)
        self.filters = linear.filters
        self.bounds = tuple(
            layout.per_filter(np.broadcast_to(bound, self.filters).astype(np.int32))
            for bound in bounds
        )

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for integer-valued inputs (n, h, w, c)."""
        totals = np.zeros((len(x), self.filters), np.int64)
        total_products(*self.factors.arguments(x, work), *self.bounds, totals)
        return self.pool.finish(totals[:, None, None], tally)


def _or(bound, otherwise: int):
    return otherwise if bound is None else bound
