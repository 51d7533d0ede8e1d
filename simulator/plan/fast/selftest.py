"""Self-test of the ``fast`` backend on the current processor, before its first use."""

from __future__ import annotations

from functools import cache

import numpy as np

from simulator.plan.fast.step import FastStep, FastSums
from simulator.plan.linear import Linear
from simulator.plan.proofs import NEVER, Staircase
from simulator.plan.workspace import Workspace


@cache
def works() -> bool:
    """Return True if sums and levels of random and extreme values are exact on this processor."""
    rng = np.random.default_rng(0)
    for kind, channels, filters in (("conv", 19, 21), ("depthwise", 19, 19), ("conv", 64, 64)):
        # The last shape consists of complete tiles, as the Winograd path requires.
        shape = (2, 8, 10, channels) if filters == 64 else (2, 7, 9, channels)
        x = rng.integers(-255, 256, shape).astype(np.int16)
        x[0, :3] = 255
        weights = rng.integers(-127, 128, (3, 3, channels, filters if kind == "conv" else 1))
        weights[..., 0] = np.where(weights[..., 0] < 0, -127, 127)
        linear = Linear(kind=kind, weights=weights)
        sums = _sums(x, weights, kind)
        if kind == "conv":
            found = FastSums(linear, x.shape[1:], lambda sums, tally: sums).run(x, Workspace())
            if not np.array_equal(found, sums):
                return False
        if not np.array_equal(_levels(linear, x, filters), np.clip(sums // 512, -100, 99)):
            return False
    return True


def _levels(linear: Linear, x, filters: int) -> np.ndarray:
    """Return ``floor(sum / 512)`` clipped to -100..99, computed by a step."""
    never = np.full(filters, NEVER)
    first = np.repeat(np.arange(-99, 100)[:, None] * 512, filters, axis=1)
    high, slope = np.full(filters, 99), np.full(filters, 1 / 512)
    stairs = Staircase(low=-100, high=high, first=first, slope=slope, under=-never, over=never)
    height, width = x.shape[1] - 2, x.shape[2] - 2
    shapes = x.shape[1:], (height, width, filters)
    step = FastStep(linear, stairs, stairs.integers(1 << 23), *shapes, (-255, 255))
    return step.run(x, Workspace())


def _sums(x, weights, kind: str) -> np.ndarray:
    """Return sums of 3x3 windows by definition, int64 (n, h - 2, w - 2, filters)."""
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.int64), (3, 3), axis=(1, 2))
    if kind == "conv":
        return np.einsum("nhwcij,ijcf->nhwf", windows, weights)
    return np.einsum("nhwcij,ijc->nhwc", windows, weights[..., 0])
