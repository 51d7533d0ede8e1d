"""Staircase as a float expression, and the few accumulators at which the two differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simulator.plan.proofs import LIMITS, NEVER, Staircase, staircase

ULPS = (0, 1, -1)
"""Differences of multipliers from the slope, in units in the last place."""

PLACES = tuple(sorted(np.linspace(-0.5, 1.5, 17).tolist(), key=lambda place: abs(place - 0.5)))
"""Places of offsets between the smallest (0) and the largest (1) that are exact in real numbers.

Those outside may be exact in floats, whose sums are rounded.
"""

SHARE = 8
"""Channels per exception: more exceptions would cost as much as another pass over all sums."""

UNUSABLE = 1 << 30
"""Number of exceptions of a channel that exceptions cannot correct."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatForm:
    """``clip(floor(p * multiplier + offset))``, each operation rounded, and its exceptions.

    Attributes
    ----------
    multiplier, offset : float (channels,)
        Of one dtype.
    channels : int64 (k,)
        Channels of the exceptions; a channel may have several.
    sums : float (k,)
        Accumulators at which the expression is not the staircase, of the same dtype.
    levels : int64 (k,)
        Outputs of the staircase there.
    """

    multiplier: np.ndarray
    offset: np.ndarray
    channels: np.ndarray
    sums: np.ndarray
    levels: np.ndarray


def float_form(stairs: Staircase, bound: int, dtype) -> FloatForm | None:
    """Return the float form of a staircase; None if no factors are found with few exceptions.

    Parameters
    ----------
    stairs : Staircase
    bound : int
        Largest magnitude of an accumulator.
    dtype : float32 or float64
    """
    dtype = np.dtype(dtype)
    if bound >= LIMITS[dtype]:
        return None
    steps = _Steps.of_staircase(stairs, bound)
    pairs = _pairs(steps, stairs.slope, dtype)
    m, c = next(pairs)
    wrong = steps.exceptions(m, c)
    for other_m, other_c in pairs:
        tried = np.flatnonzero(wrong)
        if not len(tried):
            break
        found = steps.of(tried).exceptions(other_m[tried], other_c[tried])
        better = tried[found < wrong[tried]]
        m[better], c[better] = other_m[better], other_c[better]
        wrong[tried] = np.minimum(wrong[tried], found)
    if wrong.sum() > 1 + len(m) // SHARE:
        return None
    return steps.form(m, c)


def _pairs(steps: _Steps, slope, dtype) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield multipliers and offsets to try, arrays of `dtype` (channels,); the likeliest first."""
    moving = steps.reached.any(axis=0)
    levels, first = steps.levels, np.where(steps.reached, steps.first, 0)
    for ulps in ULPS:
        # Without a step within the bound the output is constant: use the middle of its level.
        m = np.where(moving, slope, 0).astype(dtype)
        m += ulps * np.spacing(m) * moving
        exact = m.astype(np.float64)
        # Any offset between these two puts every step between its two neighbouring integers.
        least = np.where(steps.reached, levels - first * exact, -np.inf).max(axis=0)
        most = np.where(steps.reached, levels - (first - 1) * exact, np.inf).min(axis=0)
        for place in PLACES:
            c = np.where(moving, least, steps.lowest + 0.5)
            c += place * np.where(moving, most - least, 0)
            yield m.copy(), c.astype(dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Steps:
    """Steps of a staircase within a bound, and its ends: what a float expression has to satisfy.

    Both are monotone. If each step of the expression is at the same accumulator or at a
    neighbouring one, and both ends are equal, then both are equal at every integer from ``-bound``
    to ``bound``, except at the accumulator between a step and its neighbour.

    Attributes
    ----------
    bound : int
    levels : int64 (levels, 1)
        All levels, including those of both saturations.
    first : int64 (levels, channels)
        Their first accumulators.
    low, high : int64 (channels,)
        Bounds of the expression, which include the levels of saturations that are counted.
    lowest, highest : int64 (channels,)
        Levels of ``-bound`` and of ``bound``.
    """

    bound: int
    levels: np.ndarray
    first: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    @staticmethod
    def of_staircase(stairs: Staircase, bound: int) -> _Steps:
        """Return the steps of a staircase."""
        levels, first = stairs.table()
        base = stairs.low - 1
        return _Steps(
            bound=bound,
            levels=levels,
            first=first,
            low=np.where(stairs.under > -NEVER, base, stairs.low),
            high=np.where(stairs.over < NEVER, base + len(first), stairs.high),
            lowest=base + (first <= -bound).sum(axis=0),
            highest=base + (first <= bound).sum(axis=0),
        )

    def of(self, channels: np.ndarray) -> _Steps:
        """Return the steps of some channels."""
        arrays = ("first", "low", "high", "lowest", "highest")
        return replace(self, **{name: getattr(self, name)[..., channels] for name in arrays})

    @property
    def reached(self) -> np.ndarray:
        """True for steps between the ends, bool (levels, channels)."""
        return (self.first <= self.bound) & (self.first > -self.bound)

    def missed(self, m: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps that the expression takes too late, and those too early."""
        first = np.where(self.reached, self.first, 0)
        late = self.reached & (self._computed(first, m, c) < self.levels)
        early = self.reached & (self._computed(first - 1, m, c) >= self.levels)
        return late, early

    def exceptions(self, m: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Return the number of exceptions of each channel, `UNUSABLE` if there are others."""
        late, early = self.missed(m, c)
        far = self._computed(self.bound, m, c) > self.highest
        far |= self._computed(-self.bound, m, c) < self.lowest
        if late.any() or early.any():
            first = np.where(late | early, self.first, 0)
            off = late & (self._computed(first + 1, m, c) < self.levels)
            off |= early & (self._computed(first - 2, m, c) >= self.levels)
            # Saturated values are counted before exceptions are corrected.
            ends = [0, -1]
            far |= off.any(axis=0) | (late | early)[ends].any(axis=0)
        return np.where(far, UNUSABLE, late.sum(axis=0) + early.sum(axis=0))

    def form(self, m: np.ndarray, c: np.ndarray) -> FloatForm:
        """Return the form of a multiplier and an offset, with their exceptions."""
        late, early = self.missed(m, c)
        channels = np.concatenate([late.nonzero()[1], early.nonzero()[1]])
        sums = np.concatenate([self.first[late], self.first[early] - 1])
        # The rows between are those of levels without saturation.
        levels = self.levels[0, 0] + (self.first[1:-1, channels] <= sums).sum(axis=0)
        return FloatForm(
            multiplier=m, offset=c, channels=channels, sums=sums.astype(m.dtype), levels=levels
        )

    def _computed(self, sums, m: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Return the expression's values, with saturations."""
        bounds = self.low.astype(m.dtype), self.high.astype(m.dtype)
        return staircase(np.asarray(sums, m.dtype), m, c, *bounds)
