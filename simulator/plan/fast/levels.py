"""Staircases as arguments of the register tiles."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast import layout
from simulator.plan.proofs import NEVER, Staircase


class Levels:
    """Staircase as arguments of the tiles.

    Parameters
    ----------
    stairs : Staircase
    integers : (scale, offset)
        int64 (channels,) from `Staircase.integers`.
    by_channel : bool
        True for depthwise tiles.
    beyond : bool
        True gives saturated values a separate level, so that they can be counted after pooling.
    """

    def __init__(self, stairs: Staircase, integers, *, by_channel: bool, beyond: bool):
        fill = layout.per_channel if by_channel else layout.per_filter
        scaled = tuple(layout.lane_pairs(fill(values)) for values in integers)
        low, high = stairs.low, stairs.high.astype(np.int32)
        # The proof covers the level above the last one, so that saturations are counted exactly.
        last = stairs.low + len(stairs.first) + 1
        over, under = stairs.over < NEVER, bool((stairs.under > -NEVER).any())
        self.registers = (*scaled, low, fill(high))
        self.counted = (None, None)
        if under:
            self.counted = (None, 0)
        elif over.any():
            # Padding of a tile never saturates, nor do channels with a lower maximum.
            never = np.int32((1 << 31) - 1)
            self.counted = (fill(np.where(over, np.int32(last), never), never), None)
        if beyond:
            high = np.where(over, np.int32(last), high)
            self.widened = (*scaled, low - under, fill(high))
