"""Zeros and extremes of an output, in one pass over what is still in the cache."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simulator.plan.fast.vectors import LANES, PAIRS, Arguments, load, loop, number, store

VALUES = 2 * LANES
"""Values of a vector."""
MOST = 30_000
"""Vectors whose zeros 16 bits can count."""


@intrinsic
def look(typing, flat, start, rows, step, vectors, zeros, low, high):
    """Count the zeros and follow the extremes of some vectors, lane by lane.

    Parameters
    ----------
    flat : int16 (size,)
    start, rows, step, vectors : int64
        From where, in how many rows that begin `step` values apart, and how many vectors of
        `VALUES` in each; at least one. All together at most `MOST`.
    zeros, low, high : int16 (VALUES,)
        Updated.
    """
    index = types.int64
    arguments = (flat, index, index, index, index, zeros, low, high)
    names = ("flat", "start", "rows", "step", "vectors", "zeros", "low", "high")

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)
        none = ir.Constant(PAIRS, [0] * VALUES)

        def row(position, state):
            offset = builder.mul(position, use.step)
            first = use.at("flat", builder.add(use.start, offset))

            def vector(position, state):
                zeros, low, high = state
                place = builder.gep(first, [builder.mul(position, number(VALUES))])
                value = load(builder, place, PAIRS)
                # A comparison is -1 where it holds.
                zero = builder.sext(builder.icmp_signed("==", value, none), PAIRS)
                return [
                    builder.sub(zeros, zero),
                    builder.select(builder.icmp_signed("<", value, low), value, low),
                    builder.select(builder.icmp_signed(">", value, high), value, high),
                ]

            return loop(builder, use.vectors, state, vector)

        kept = ("zeros", "low", "high")
        state = [load(builder, getattr(use, name), PAIRS) for name in kept]
        for name, value in zip(kept, loop(builder, use.rows, state, row), strict=True):
            store(builder, value, getattr(use, name))
        return context.get_dummy_value()

    return types.void(*arguments), generate


@numba.njit(cache=True, nogil=True)
def measure(flat, images, rows, length, steps):
    """Return how many values are 0, the smallest and the largest.

    Parameters
    ----------
    flat : int16 (size,)
    images, rows, length : int
        Each row is `length` values.
    steps : (image, row, column)
        How far images and rows lie apart.
    """
    zeros, lane_zeros = 0, np.zeros(VALUES, np.int16)
    lane_low, lane_high = np.full(VALUES, 32767, np.int16), np.full(VALUES, -32768, np.int16)
    low, high, looked = 32767, -32768, 0
    vectors = length // VALUES
    for image in range(images):
        start = image * steps[0]
        for first in range(0, vectors, MOST):
            count = min(MOST, vectors - first)
            for row in range(0, rows, MOST // count):
                lines = min(MOST // count, rows - row)
                if looked + lines * count > MOST:
                    zeros, looked = zeros + lane_zeros.sum(), 0
                    lane_zeros[:] = 0
                place = start + row * steps[1] + first * VALUES
                look(flat, place, lines, steps[1], count, lane_zeros, lane_low, lane_high)
                looked += lines * count
        if vectors * VALUES == length:
            continue
        for row in range(rows):
            for place in range(vectors * VALUES, length):
                value = flat[start + row * steps[1] + place]
                zeros += value == 0
                low, high = min(low, value), max(high, value)
    zeros += lane_zeros.sum()
    return zeros, min(low, lane_low.min()), max(high, lane_high.max())
