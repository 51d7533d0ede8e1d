"""What makes a fast path exact, proven for each layer before the path is taken.

Accumulators: with ``max|x| * sum|w| < 2**24`` every partial sum of a float32 product is a whole
number that float32 holds, in any order of summation.

Requantization: an output is a monotone staircase of the whole-numbered accumulator p, and so is
the float expression ``clip(floor(p * m + c))``, since rounding is monotone. Two staircases that
agree on both sides of every step, and at both ends, agree everywhere: a few hundred checks per
channel prove all accumulators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMITS = {np.dtype(np.float32): 1 << 24, np.dtype(np.float64): 1 << 53}
"""Whole numbers below this are exact, by float type."""

NEVER = np.int64(1) << 60
"""First accumulator of a level that is not reached."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Why a layer takes the path it takes.

    Attributes
    ----------
    layer : str
    path : {"float32", "float64", "reference"}
        Type of the requantization; "reference" is the layer's own `run`.
    accumulator_bits : int or None
        Bits of the largest magnitude an accumulator can reach, whatever the input.
    reason : str
        One line for people.
    """

    layer: str
    path: str
    accumulator_bits: int | None
    reason: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Staircase:
    """The exact output of a layer as a function of its accumulator.

    Attributes
    ----------
    low : int
        Smallest output.
    high : int64 (channels,)
        Largest output of each channel.
    first : int64 (levels, channels)
        Smallest accumulator whose output is at least ``low + 1 + row``; `NEVER` above `high`.
    slope : float64 (channels,)
        Average outputs per accumulator; a guide for the floats, not part of the definition.
    saturation : float64 (channels,) or None
        A value above it saturates; infinite where another bound comes first. None: never counted.
    """

    low: int
    high: np.ndarray
    first: np.ndarray
    slope: np.ndarray
    saturation: np.ndarray | None = None

    def at(self, potentials: np.ndarray) -> np.ndarray:
        """Return the output of accumulators (..., channels); slow, by definition."""
        return self.low + (np.asarray(potentials)[..., None, :] >= self.first).sum(axis=-2)

    def floats(self, bound: int, dtype) -> tuple[np.ndarray, np.ndarray] | None:
        """Return (m, c) with which floats of `dtype` compute the staircase, or None.

        Parameters
        ----------
        bound : int
            Largest magnitude of an accumulator.
        dtype : float32 or float64
        """
        dtype = np.dtype(dtype)
        if bound >= LIMITS[dtype]:
            return None
        m = self.slope.astype(dtype)
        levels = (self.low + 1 + np.arange(len(self.first)))[:, None]
        seen = (self.first <= bound) & (self.first > -bound)
        first = np.where(seen, self.first, 0)
        # Any offset between these two puts every step between its two whole neighbours.
        exact = m.astype(np.float64)
        least = np.where(seen, levels - first * exact, -np.inf).max(axis=0, initial=-np.inf)
        most = np.where(seen, levels - (first - 1) * exact, np.inf).min(axis=0, initial=np.inf)
        # Without a step in reach the output is constant; the middle of its level is safe.
        constant = self.at(np.zeros(len(m))).astype(np.float64) + 0.5
        inside = np.isfinite(least) & np.isfinite(most)
        middle = (np.where(inside, least, constant) + np.where(inside, most, constant)) / 2
        c = middle.astype(dtype)
        low, high = dtype.type(self.low), self.high.astype(dtype)
        ends = np.full((1, len(m)), bound, np.int64)
        for probe in (first, first - 1, ends, -ends):
            probe = np.clip(probe, -bound, bound)
            if not np.array_equal(staircase(probe.astype(dtype), m, c, low, high), self.at(probe)):
                return None
        return m, c


def staircase(potentials, m, c, low, high):
    """Return ``clip(floor(p * m + c), low, high)``, every operation rounded to its type."""
    return np.clip(np.floor(potentials * m + c), low, high)
