"""Proofs that a fast path is exact, made for each layer before the path is taken.

Accumulators: if ``max|x| * sum|w| < 2**24``, float32 holds every partial sum of a product exactly,
in any order of summation.

Requantization: an output is a monotone staircase of the integer accumulator p, and so is the float
expression ``clip(floor(p * m + c))``, since rounding is monotone. Two staircases that agree on both
sides of every step, and at both ends, agree everywhere: a few hundred checks per channel prove all
accumulators. Where the best m and c miss single accumulators, these are known, and corrected; see
`simulator.plan.float_form`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMITS = {np.dtype(np.float32): 1 << 24, np.dtype(np.float64): 1 << 53}
"""Float dtype to the magnitude below which it holds every integer exactly."""


def exact_dtype(bound: int) -> np.dtype:
    """Return the smallest float dtype that holds every integer up to a magnitude.

    Raises
    ------
    ValueError
        If there is none.
    """
    for dtype, limit in LIMITS.items():
        if bound < limit:
            return dtype
    raise ValueError(f"no float holds every integer up to {bound:,}")


NEVER = np.int64(1) << 60
"""First accumulator of a level that no accumulator reaches."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Reason for the path of a layer.

    Attributes
    ----------
    layer : str
    path : str
        Backend and number type of the requantization; "sums" if the layer's own arithmetic follows
        a fast product; "reference" for the layer's own `run`.
    accumulator_bits : int or None
        Bits of the largest magnitude that an accumulator can reach for any input.
    reason : str
        One line for users.
    """

    layer: str
    path: str
    accumulator_bits: int | None
    reason: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Staircase:
    """Exact output of a layer as a monotone function of its integer accumulator.

    Attributes
    ----------
    low : int
        Smallest output.
    high : int64 (channels,)
        Largest output of each channel.
    first : int64 (levels, channels)
        Smallest accumulator whose output is at least ``low + 1 + row``; `NEVER` above `high`.
    slope : float64 (channels,)
        Output per unit of the accumulator; the first guess of `float_form` and `integers`, not
        part of the definition.
    under : int64 (channels,)
        Smallest accumulator that does not saturate at `low`; ``-NEVER`` if none saturates there.
    over : int64 (channels,)
        Smallest accumulator that saturates at the largest output; `NEVER` if none does.
    """

    low: int
    high: np.ndarray
    first: np.ndarray
    slope: np.ndarray
    under: np.ndarray
    over: np.ndarray

    def at(self, potentials: np.ndarray) -> np.ndarray:
        """Return the output of accumulators (..., channels) by definition; slow."""
        return self.low + (np.asarray(potentials)[..., None, :] >= self.first).sum(axis=-2)

    def integers(self, bound: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return integers for which ``clip((p * scale + offset) >> 32)`` is the staircase.

        Integer products are not rounded, so that each step bounds the offset on both sides; any
        offset within all bounds is exact.

        Parameters
        ----------
        bound : int
            Largest magnitude of an accumulator p; must be below 2**31.

        Returns
        -------
        scale, offset : int64 (channels,)
            ``scale`` has 31 bits and a sign; ``p * scale + offset`` is below 2**62. None if no
            offset satisfies all bounds.
        """
        if bound >= 1 << 31 or float(self.slope.max()) >= 0.5:
            return None
        levels, table = self.table()
        scale = np.rint(self.slope * 2.0**32).astype(np.int64)
        low = np.where(self.under > -NEVER, self.low, self.low + 1)
        high = np.where(self.over < NEVER, self.low + len(self.first) + 1, self.high)
        # Levels outside these are clipped, so that their steps may be anywhere.
        used = (levels >= low) & (levels <= high)
        starts = levels.astype(np.int64) << 32
        reached = used & (table <= bound)
        passed = used & (table > -bound)
        first = np.clip(table, -bound, bound)
        before = np.clip(table - 1, -bound, bound)
        lowest, highest = -(1 << 61), (1 << 61)
        least = np.where(reached, starts - first * scale, lowest).max(axis=0, initial=lowest)
        most = np.where(passed, starts - before * scale, highest).min(axis=0, initial=highest) - 1
        if np.any(least > most) or bound * int(scale.max()) >= 1 << 61:
            return None
        return scale, least + (most - least) // 2

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all levels and their first accumulators, including those of both saturations."""
        levels = np.arange(self.low, self.low + len(self.first) + 2)[:, None]
        return levels, np.vstack([self.under, self.first, self.over])


def staircase(potentials, m, c, low, high):
    """Return ``clip(floor(p * m + c), low, high)``, every operation rounded to the dtype."""
    return np.clip(np.floor(potentials * m + c), low, high)
