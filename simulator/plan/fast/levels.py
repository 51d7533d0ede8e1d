"""Staircases as arguments of the kernels."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast import layout
from simulator.plan.fast.vectors import Vectors
from simulator.plan.proofs import NEVER, Staircase

LEAST, MOST = np.int32(-(1 << 31)), np.int32((1 << 31) - 1)
"""Bounds that no level is beyond."""


class Levels:
    """Staircase as arguments of the kernels.

    Parameters
    ----------
    stairs : Staircase
    integers : (scale, offset)
        int64 (channels,) from `Staircase.integers`.
    vectors : Vectors

    Attributes
    ----------
    arguments : dict
        Of the function that consumes sums.
    wide : dict
        The same with a separate level for saturated values, so that they can be counted later.
    high : int32 (channels,)
        Largest level, padded.
    """

    def __init__(self, stairs: Staircase, integers, vectors: Vectors):
        def fill(values, filler=0):
            return layout.padded(np.asarray(values), vectors, filler)

        scale, offset = (layout.lane_pairs(fill(values), vectors) for values in integers)
        # The proof covers the level above the last one, so that saturations are counted exactly.
        last = np.int32(stairs.low + len(stairs.first) + 1)
        over, under = stairs.over < NEVER, stairs.under > -NEVER
        high = stairs.high.astype(np.int32)
        self.high = fill(high)
        # Padding of a tile never saturates, nor do channels with a lower maximum.
        self.arguments = {
            "scale": scale, "offset": offset, "low": stairs.low, "high": self.high,
            "over": fill(np.where(over, last, MOST), MOST),
            "under": fill(np.where(under, np.int32(stairs.low), LEAST), LEAST),
        }  # fmt: skip
        self.wide = self.arguments | {
            "low": stairs.low - int(under.any()), "high": fill(np.where(over, last, high)),
        }  # fmt: skip
