"""Self-test of the ``fast`` backend on the current processor, before its first use."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from simulator.plan.case import Case
from simulator.plan.fast.backend import FastBackend
from simulator.plan.fast.processor import Processor, chosen
from simulator.plan.fast.tape import Tape
from simulator.plan.linear import Linear
from simulator.plan.proofs import NEVER, Staircase

RANGES = ((0, 255, np.uint8), (-128, 127, np.int8), (-255, 255, np.int16))
"""Smallest and largest input, and the dtype: products of bytes without and with an offset, where
the processor has them, and of words."""


def works() -> bool:
    """Return True if sums and levels of random and extreme values are exact on this processor."""
    return _works(chosen())


@cache
def _works(processor: Processor) -> bool:
    rng, backend = np.random.default_rng(0), FastBackend(processor)
    return all(
        _equal(rng, backend, kind, channels, filters, inputs)
        for inputs in RANGES
        # The last shape consists of complete tiles, as the Winograd path requires.
        for kind, channels, filters in (("conv", 19, 21), ("depthwise", 19, 19), ("conv", 64, 64))
    )


def _equal(rng, backend, kind: str, channels: int, filters: int, inputs) -> bool:
    """Return True if a layer of 3x3 windows is computed as by definition."""
    low, high, dtype = inputs
    shape = (2, 8, 10, channels) if filters == 64 else (2, 7, 9, channels)
    x = rng.integers(low, high + 1, shape).astype(dtype)
    x[0, :3], x[0, 3:] = high, np.where(x[0, 3:] < 0, low, high)
    weights = rng.integers(-127, 128, (3, 3, channels, filters if kind == "conv" else 1))
    weights[..., 0] = np.where(weights[..., 0] < 0, -128, 127)
    sums = _sums(x, weights, kind)
    case = Case(
        linear=Linear(kind=kind, weights=weights),
        input_shape=shape[1:],
        output_shape=(shape[1] - 2, shape[2] - 2, filters),
        bound=1 << 23,
        input_range=(low, high),
    )
    if kind == "conv" and not np.array_equal(_run(backend, backend.sums(case, None), x), sums):
        return False
    levels = _run(backend, backend.step(case, _stairs(filters)), x)
    return np.array_equal(levels, np.clip(sums // 512, -100, 99))


def _run(backend, step, x: np.ndarray) -> np.ndarray:
    """Return the output of one step."""
    tape = Tape(backend.kernels, len(x), x.dtype, x.shape[1:])
    tape.begin(SimpleNamespace(name="step"))
    tensor = step.record(tape, None)
    tape.end(tensor, python=False)
    tape.close()
    tape.feed(x)
    tape.run_all()
    return tensor.array


def _stairs(filters: int) -> Staircase:
    """Return ``floor(sum / 512)`` clipped to -100..99."""
    never = np.full(filters, NEVER)
    first = np.repeat(np.arange(-99, 100)[:, None] * 512, filters, axis=1)
    high, slope = np.full(filters, 99), np.full(filters, 1 / 512)
    return Staircase(low=-100, high=high, first=first, slope=slope, under=-never, over=never)


def _sums(x, weights, kind: str) -> np.ndarray:
    """Return sums of 3x3 windows by definition, int64 (n, h - 2, w - 2, filters)."""
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.int64), (3, 3), axis=(1, 2))
    if kind == "conv":
        return np.einsum("nhwcij,ijcf->nhwf", windows, weights)
    return np.einsum("nhwcij,ijc->nhwc", windows, weights[..., 0])
