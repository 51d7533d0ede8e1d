"""Staircases in NumPy: exact levels in float32 from sums in float32."""

from __future__ import annotations

from copy import copy

import numpy as np

from simulator.integer import Tally
from simulator.plan.proofs import NEVER, Staircase
from simulator.plan.workspace import Workspace

MAX_UNCERTAIN = 2.0**-8
"""Largest share of values that may be computed again in integers before another method is faster.

It is the width of the interval around each step, in levels, where float32 may be wrong.
"""


class FloatLevels:
    """Levels computed in floats that are proven to give the staircase.

    Parameters
    ----------
    stairs : Staircase
    floats : (m, c)
        Float32 or float64 (channels,) from `Staircase.floats`.
    """

    def __init__(self, stairs: Staircase, floats):
        self.dtype = floats[0].dtype
        self.name = self.dtype.name
        self.multiplier, self.offset = floats
        self.low, self.highest = self.dtype.type(stairs.low), self.dtype.type(stairs.high.max())
        uniform = (stairs.high == stairs.high.max()).all()
        self.high = None if uniform else stairs.high.astype(self.dtype)
        # The proof covers the level above the last one, so that saturations are counted exactly.
        level = np.where(stairs.over < NEVER, float(_level_above(stairs)), np.inf).astype(
            self.dtype
        )
        self.over = level if (stairs.over < NEVER).any() else None
        self.saturates_under = bool((stairs.under > -NEVER).any())
        self.dtype_of_levels = _narrowest(stairs)

    def tiled(self, positions: int) -> FloatLevels:
        """Return a copy for rows of `positions` pixels."""
        return _repeated(self, ("multiplier", "offset", "high", "over"), positions)

    def write(self, sums: np.ndarray, out: np.ndarray, work: Workspace, tally: Tally | None):
        """Write the levels of `sums` to `out`; both float32, of one size, and contiguous."""
        width = len(self.multiplier)
        flat = steps = sums.reshape(-1, width)
        if self.dtype != np.float32:
            steps = work.scratch("steps", flat.shape, self.dtype)
        np.multiply(flat, self.multiplier, out=steps)
        np.add(steps, self.offset, out=steps)
        if tally is not None and (beyond := self._beyond(steps)):
            tally("output", beyond)
        # With integer bounds floor and clip commute; clipping first is faster.
        np.clip(steps, self.low, self.highest, out=steps)
        if self.high is not None:
            np.minimum(steps, self.high, out=steps)
        np.floor(steps, out=out.reshape(-1, width), casting="same_kind")

    def _beyond(self, steps: np.ndarray) -> int:
        """Return the number of outputs that saturate; the bounds of a ReLU do not count."""
        count = 0
        if self.over is not None:
            count += np.count_nonzero(steps >= self.over)
        if self.saturates_under:
            count += np.count_nonzero(steps < self.low)
        return int(count)


class RecheckedLevels:
    """Levels in float32, computed again in integers where float32 might be wrong.

    Let ``y = (p * scale + offset) / 2**32 - 1/2``, so that the level is y rounded. Its float32 form
    ``p * m + c`` rounds m, c, the product and the sum, each by at most 2**-24 of its value: for
    ``|y| <= reach`` the error is below ``2**-22 * (reach + |c|)``. A value further than that from
    the midpoint between two levels is therefore correct; all others are computed again. Beyond
    `reach` both forms give the outermost level, since both are monotone.

    Parameters
    ----------
    stairs : Staircase
    integers : (scale, offset)
        int64 (channels,) from `Staircase.integers`.
    """

    name = "float32 rechecked"

    def __init__(self, stairs: Staircase, integers):
        self.integers, self.filters = integers, len(stairs.high)
        scale, offset = integers
        self.multiplier = (scale / 2.0**32).astype(np.float32)
        self.offset = (offset / 2.0**32 - 0.5).astype(np.float32)
        reach = max(abs(stairs.low - 1), abs(_level_above(stairs))) + 2
        self.uncertain = 2.0**-22 * (reach + float(np.abs(self.offset).max()))
        over, under = stairs.over < NEVER, bool((stairs.under > -NEVER).any())
        self.low, self.high = stairs.low, stairs.high.astype(np.float32)
        # Saturated values get a separate level, so that they can be counted.
        self.saturates = bool(over.any()) or under
        self.wide_low = stairs.low - under
        self.wide_high = np.where(over, np.float32(_level_above(stairs)), self.high)
        self.dtype_of_levels = _narrowest(stairs)

    @property
    def usable(self) -> bool:
        """True if few enough values have to be computed again."""
        return self.uncertain <= MAX_UNCERTAIN

    def tiled(self, positions: int) -> RecheckedLevels:
        """Return a copy for rows of `positions` pixels."""
        tiled = _repeated(self, ("multiplier", "offset", "high", "wide_high"), positions)
        tiled.bounds = _Bounds(self.low, tiled.high)
        tiled.wide_bounds = _Bounds(self.wide_low, tiled.wide_high)
        return tiled

    def write(self, sums: np.ndarray, out: np.ndarray, work: Workspace, tally: Tally | None):
        """Write the levels of `sums` to `out`; both float32, of one size, and contiguous."""
        width = len(self.multiplier)
        flat, levels = sums.reshape(-1, width), out.reshape(-1, width)
        counting = tally is not None and self.saturates
        bounds = self.wide_bounds if counting else self.bounds
        steps = work.scratch("steps", flat.shape)
        np.multiply(flat, self.multiplier, out=steps)
        np.add(steps, self.offset, out=steps)
        bounds.clip(steps)
        np.rint(steps, out=levels)
        np.subtract(steps, levels, out=steps)
        np.abs(steps, out=steps)
        mask = work.scratch("mask", flat.shape, np.bool_)
        np.greater(steps, np.float32(0.5 - self.uncertain), out=mask)
        again = np.flatnonzero(mask)
        if len(again):
            scale, offset = (values[again % self.filters] for values in self.integers)
            sums = flat.reshape(-1)[again].astype(np.int64)
            exact = np.maximum((sums * scale + offset) >> 32, int(bounds.low))
            levels.reshape(-1)[again] = np.minimum(exact, bounds.high[again % width])
        if counting:
            beyond = np.count_nonzero(np.greater(levels, self.high, out=mask))
            if self.wide_low < self.low:
                beyond += np.count_nonzero(np.less(levels, self.bounds.low, out=mask))
            if beyond:
                tally("output", int(beyond))
                self.bounds.clip(levels)


def _level_above(stairs: Staircase) -> int:
    """Return the level above the last one."""
    return stairs.low + len(stairs.first) + 1


def _narrowest(stairs: Staircase) -> np.dtype:
    """Return the smallest dtype that holds all levels; bytes are counted fastest."""
    return np.result_type(np.min_scalar_type(stairs.low), np.min_scalar_type(stairs.high.max()))


class _Bounds:
    """Lower bound, and upper bound for each entry of a row."""

    def __init__(self, low: float, high: np.ndarray):
        self.low, self.high, self.top = np.float32(low), high.astype(np.float32), high.max()
        self.uniform = bool((high == high[0]).all())

    def clip(self, values: np.ndarray) -> None:
        """Clip values to the bounds, in place."""
        np.clip(values, self.low, self.top, out=values)
        if not self.uniform:
            np.minimum(values, self.high, out=values)


def _repeated(levels, names, positions: int):
    """Return a copy with the named vectors repeated `positions` times."""
    tiled = copy(levels)
    for name in names:
        if (vector := getattr(levels, name)) is not None:
            setattr(tiled, name, np.tile(vector, positions))
    return tiled
