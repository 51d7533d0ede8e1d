"""Zeros and extremes of an output, in one pass while it is still in the cache."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simulator.plan.fast.vectors import LANES, PAIRS, Arguments, load, loop, number, store

VALUES = 2 * LANES
"""Number of values of a vector."""
MOST = 30_000
"""Number of vectors whose zeros a 16-bit counter holds."""


@intrinsic
def measure_vectors(typing, flat, start, rows, step, vectors, zeros, low, high):
    """Update the number of zeros and the extremes of each lane.

    Parameters
    ----------
    flat : int16 (size,)
    start, rows, step, vectors : int64
        Index of the first value; number of rows, `step` values apart; number of vectors of
        `VALUES` values in each, at least one. ``rows * vectors`` is at most `MOST`.
    zeros, low, high : int16 (VALUES,)
        Updated in place.
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
                # A true comparison is -1.
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
    """Return the number of zeros, the smallest and the largest value.

    Parameters
    ----------
    flat : int16 (size,)
    images, rows, length : int
        Each row is `length` values.
    steps : (image, row, column)
        Distances between images, rows and columns, in values.
    """
    zeros, lane_zeros = 0, np.zeros(VALUES, np.int16)
    lane_low, lane_high = np.full(VALUES, 32767, np.int16), np.full(VALUES, -32768, np.int16)
    low, high, measured = 32767, -32768, 0
    vectors = length // VALUES
    for image in range(images):
        start = image * steps[0]
        for first in range(0, vectors, MOST):
            count = min(MOST, vectors - first)
            for row in range(0, rows, MOST // count):
                lines = min(MOST // count, rows - row)
                if measured + lines * count > MOST:
                    zeros, measured = zeros + lane_zeros.sum(), 0
                    lane_zeros[:] = 0
                place = start + row * steps[1] + first * VALUES
                extremes = lane_low, lane_high
                measure_vectors(flat, place, lines, steps[1], count, lane_zeros, *extremes)
                measured += lines * count
        if vectors * VALUES == length:
            continue
        for row in range(rows):
            for place in range(vectors * VALUES, length):
                value = flat[start + row * steps[1] + place]
                zeros += value == 0
                low, high = min(low, value), max(high, value)
    zeros += lane_zeros.sum()
    return zeros, min(low, lane_low.min()), max(high, lane_high.max())
