"""Staircases in the form that the register tiles take."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast import layout
from simulator.plan.proofs import NEVER, Staircase


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
        self.counted = (None, None)
        if under:
            self.counted = (None, 0)
        elif over.any():
            # What fills up a tile never saturates, nor do channels that stop before.
            never = np.int32((1 << 31) - 1)
            self.counted = (fill(np.where(over, np.int32(last), never), never), None)
        if beyond:
            high = np.where(over, np.int32(last), high)
            self.widened = (*scaled, low - under, fill(high))
