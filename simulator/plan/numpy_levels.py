"""Staircases in NumPy: exact levels from sums in float32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy

import numpy as np

from simulator.integer import Tally
from simulator.plan.float_form import FloatForm
from simulator.plan.proofs import NEVER, Staircase
from simulator.plan.workspace import Workspace

MAX_UNCERTAIN = 2.0**-8
"""Largest share of values that may be computed again in integers before another method is faster.

It is the width of the interval after each step, in levels, where float32 may be wrong.
"""


class Levels(ABC):
    """Levels of sums, float32.

    Subclasses have the vectors named in `VECTORS`, with an entry for each channel.

    Parameters
    ----------
    stairs : Staircase
    """

    VECTORS: tuple[str, ...] = ()

    def __init__(self, stairs: Staircase):
        self.dtype_of_levels = _narrowest(stairs)

    def tiled(self, positions: int) -> Levels:
        """Return a copy for rows of `positions` pixels."""
        tiled = copy(self)
        for name in self.VECTORS:
            if (vector := getattr(self, name)) is not None:
                setattr(tiled, name, np.tile(vector, positions))
        return tiled

    @abstractmethod
    def write(self, sums: np.ndarray, out: np.ndarray, work: Workspace, tally: Tally | None):
        """Write the levels of sums to `out`.

        Parameters
        ----------
        sums : float array (n, rows, width or more, filters)
            Contiguous; overwritten. Those beyond the width of `out` have no meaning.
        out : float32 array (n, rows, width, filters)
        """

    def _count(self, mask: np.ndarray, sums: np.ndarray, out: np.ndarray) -> int:
        """Return the number of true values of a mask of all sums, of those that `out` has."""
        return int(np.count_nonzero(mask.reshape(sums.shape)[:, :, : out.shape[2]]))


class FloatLevels(Levels):
    """Levels computed in floats that are proven to give the staircase, but for known exceptions.

    Parameters
    ----------
    stairs : Staircase
    form : FloatForm
    """

    VECTORS = ("multiplier", "offset", "high", "over", "exceptions")

    def __init__(self, stairs: Staircase, form: FloatForm):
        super().__init__(stairs)
        self.multiplier, self.offset, self.form = form.multiplier, form.offset, form
        self.exceptions, self.dtype = form.sums, form.multiplier.dtype
        self.name = self.dtype.name + (" corrected" if len(form.channels) else "")
        self.low, self.highest = self.dtype.type(stairs.low), self.dtype.type(stairs.high.max())
        uniform = (stairs.high == stairs.high.max()).all()
        self.high = None if uniform else stairs.high.astype(self.dtype)
        # The proof covers the level above the last one, so that saturations are counted exactly.
        level = np.where(stairs.over < NEVER, float(_level_above(stairs)), np.inf).astype(
            self.dtype
        )
        self.over = level if (stairs.over < NEVER).any() else None
        self.saturates_under = bool((stairs.under > -NEVER).any())

    def write(self, sums: np.ndarray, out: np.ndarray, work: Workspace, tally: Tally | None):
        """Write the levels of `sums` to `out`; see `Levels`."""
        flat = sums.reshape(-1, len(self.multiplier))
        near = self._near(sums, work) if len(self.form.channels) else ()
        # Passes over one array are faster than from one to another.
        steps = flat if flat.dtype == self.dtype else work.scratch("steps", flat.shape, self.dtype)
        np.multiply(flat, self.multiplier, out=steps)
        np.add(steps, self.offset, out=steps)
        if tally is not None:
            for mask in self._beyond(steps):
                if beyond := self._count(mask, sums, out):
                    tally("output", beyond)
        # With integer bounds floor and clip commute; clipping first is faster.
        steps.clip(self.low, self.highest, out=steps)
        if self.high is not None:
            np.minimum(steps, self.high, out=steps)
        steps = steps.reshape(sums.shape)[:, :, : out.shape[2]]
        np.floor(steps, out=out, casting="same_kind")
        for place, exception in near:
            self._correct(out, np.unravel_index(place, sums.shape[:-1]), exception)

    def _near(self, sums: np.ndarray, work: Workspace) -> Iterator[tuple[int, int]]:
        """Return the positions and the numbers of the exceptions among sums."""
        shape = (sums.size // sums.shape[-1], len(self.form.channels))
        near = work.scratch("near", shape, sums.dtype)
        sums.reshape(shape[0], -1).take(self.form.channels, axis=1, out=near, mode="clip")
        mask = work.scratch("mask", shape, np.bool_)
        row = (-1, len(self.exceptions))
        np.equal(near.reshape(row), self.exceptions, out=mask.reshape(row))
        return zip(*divmod(positions_of(mask), shape[1]), strict=True)

    def _correct(self, out: np.ndarray, place, exception: int) -> None:
        """Write the level of an exception; places beyond `out` have no meaning."""
        if place[2] < out.shape[2]:
            out[(*place, self.form.channels[exception])] = self.form.levels[exception]

    def _beyond(self, steps: np.ndarray) -> Iterator[np.ndarray]:
        """Yield masks of the outputs that saturate; the bounds of a ReLU do not count."""
        if self.over is not None:
            yield steps >= self.over
        if self.saturates_under:
            yield steps < self.low


class RecheckedLevels(Levels):
    """Levels in float32, computed again in integers where float32 might be wrong.

    Let ``Y = (p * scale + offset) / 2**32``, so that the level is the floor of Y. Its float32 form
    ``p * m + c`` rounds m, c, the product and the sum, each by at most 2**-24 of its value: for
    ``|Y| <= reach`` the error is below ``e = 2**-22 * (reach + |c|)``. c is e larger than the
    offset, so that the float y is in ``Y <= y <= Y + 2 * e``: its floor is the level unless
    ``y - floor(y) < 2 * e``, and these values are computed again. Beyond `reach` both forms give
    the outermost level, since both are monotone.

    Parameters
    ----------
    stairs : Staircase
    integers : (scale, offset)
        int64 (channels,) from `Staircase.integers`.
    """

    VECTORS = ("multiplier", "offset", "high", "wide_high")
    name = "float32 rechecked"

    def __init__(self, stairs: Staircase, integers):
        super().__init__(stairs)
        self.integers, self.filters = integers, len(stairs.high)
        scale, offset = integers
        reach = max(abs(stairs.low - 1), abs(_level_above(stairs))) + 2
        error = 2.0**-22 * (reach + float(np.abs(offset / 2.0**32).max()) + 1)
        self.multiplier = (scale / 2.0**32).astype(np.float32)
        self.offset = (offset / 2.0**32 + error).astype(np.float32)
        self.uncertain = np.nextafter(np.float32(2 * error), np.float32(1))
        over, under = stairs.over < NEVER, bool((stairs.under > -NEVER).any())
        self.low, self.high = stairs.low, stairs.high.astype(np.float32)
        # Saturated values get a separate level, so that they can be counted.
        self.saturates = bool(over.any()) or under
        self.wide_low = stairs.low - under
        self.wide_high = np.where(over, np.float32(_level_above(stairs)), self.high)

    @property
    def usable(self) -> bool:
        """True if few enough values have to be computed again."""
        return self.uncertain <= MAX_UNCERTAIN

    def tiled(self, positions: int) -> RecheckedLevels:
        """Return a copy for rows of `positions` pixels."""
        tiled = super().tiled(positions)
        tiled.bounds = _Bounds(self.low, tiled.high)
        tiled.wide_bounds = _Bounds(self.wide_low, tiled.wide_high)
        return tiled

    def write(self, sums: np.ndarray, out: np.ndarray, work: Workspace, tally: Tally | None):
        """Write the levels of `sums` to `out`; see `Levels`."""
        flat = sums.reshape(-1, len(self.multiplier))
        counting = tally is not None and self.saturates
        bounds = self.wide_bounds if counting else self.bounds
        steps = work.scratch("steps", flat.shape)
        whole = out.flags.c_contiguous and out.shape == sums.shape
        levels = out.reshape(flat.shape) if whole else work.scratch("levels", flat.shape)
        np.multiply(flat, self.multiplier, out=steps)
        np.add(steps, self.offset, out=steps)
        # What is clipped to the middle of a level is certain.
        bounds.clip(steps, 0.5)
        np.floor(steps, out=levels)
        np.subtract(steps, levels, out=steps)
        mask = work.scratch("mask", flat.shape, np.bool_)
        np.less(steps, self.uncertain, out=mask)
        self._compute_again(positions_of(mask), flat, levels, bounds)
        if counting:
            for beyond in self._beyond(levels, mask):
                if count := self._count(beyond, sums, out):
                    tally("output", count)
            self.bounds.clip(levels)
        if not whole:
            np.copyto(out, levels.reshape(sums.shape)[:, :, : out.shape[2]])

    def _compute_again(self, places, sums, levels, bounds) -> None:
        """Compute some levels from their sums in integers."""
        if len(places):
            scale, offset = (values[places % self.filters] for values in self.integers)
            exact = (sums.reshape(-1)[places].astype(np.int64) * scale + offset) >> 32
            high = bounds.high[places % sums.shape[1]]
            levels.reshape(-1)[places] = np.minimum(np.maximum(exact, int(bounds.low)), high)

    def _beyond(self, levels, mask) -> Iterator[np.ndarray]:
        """Yield masks of the levels above the bounds, and of those below."""
        yield np.greater(levels, self.high, out=mask)
        if self.wide_low < self.low:
            yield np.less(levels, self.bounds.low, out=mask)


def positions_of(mask: np.ndarray) -> np.ndarray:
    """Return the flat indices of the few true values of a contiguous mask."""
    flat = mask.reshape(-1)
    whole = flat.size // 8 * 8
    # Eight booleans at once.
    words = flat[:whole].view(np.uint64).nonzero()[0]
    if not len(words) and whole == flat.size:
        return words
    near = (8 * words[:, None] + np.arange(8)).reshape(-1)
    near = np.concatenate([near, np.arange(whole, flat.size)])
    return near[flat[near]]


def _level_above(stairs: Staircase) -> int:
    """Return the level above the last one."""
    return stairs.low + len(stairs.first) + 1


def _narrowest(stairs: Staircase) -> np.dtype:
    """Return the smallest dtype that holds all levels."""
    low, high = stairs.low, int(stairs.high.max())
    ranges = map(np.iinfo, (np.uint8, np.int8, np.int16, np.int32))
    return next(found.dtype for found in ranges if found.min <= low and high <= found.max)


class _Bounds:
    """Lower bound, and upper bound for each entry of a row."""

    def __init__(self, low: float, high: np.ndarray):
        self.low, self.high, self.top = np.float32(low), high.astype(np.float32), high.max()
        self.uniform = bool((high == high[0]).all())

    def clip(self, values: np.ndarray, more: float = 0) -> None:
        """Clip values to the bounds plus a number, in place."""
        more = np.float32(more)
        values.clip(self.low + more, self.top + more, out=values)
        if not self.uniform:
            np.minimum(values, self.high + more, out=values)
