"""Depthwise convolutions of the ``fast`` backend: two taps of many channels at once."""

from __future__ import annotations

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from simulator.plan.fast.products import copy_part, find_windows
from simulator.plan.fast.vectors import (
    LANES,
    PAIRS,
    ZEROS,
    Arguments,
    Stairs,
    lanes,
    load,
    loop,
    number,
    store,
    sum_of_pairs,
)

CHANNELS = 2 * LANES
"""Number of channels of a tile."""
PIXELS = 4
"""Number of windows of a tile."""


def channel_order() -> list[int]:
    """Return the channel of each sum of a tile.

    Two vectors of 16-bit values interleave within groups of 8 (128 bits on x86): the first vector
    of sums has the lower half of each group, the second the upper half.
    """
    lower = [group + lane for group in range(0, CHANNELS, 8) for lane in range(4)]
    return lower + [channel + 4 for channel in lower]


@intrinsic
def depthwise_steps(
    typing, x, windows, window, taps, pairs, weights, start,
    scale, offset, low, high, over, cut, channel, rows, out, places, place, column, saturated,
):  # fmt: skip
    """Write the levels of one tile to `out` at ``places[place + row] + column``.

    Adds the saturated values of the first `rows` windows to `saturated`, int32 (LANES,); see
    `convolve_channels`.
    """
    names = (
        "x", "windows", "window", "taps", "pairs", "weights", "start",
        "scale", "offset", "low", "high", "over", "cut", "channel", "rows",
        "out", "places", "place", "column", "saturated",
    )  # fmt: skip
    index = types.int64
    arguments = (
        x, windows, index, taps, index, weights, index,
        scale, offset, index, high, over, cut, index, index, out, places, index, index, saturated,
    )  # fmt: skip

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)
        stairs = Stairs(builder, use)
        order = channel_order()
        natural = lanes(order.index(channel) for channel in range(CHANNELS))
        for row, sums in enumerate(_sums(builder, use)):
            counted = builder.icmp_signed("<", number(row), use.rows)
            levels = [
                stairs(total, builder.add(use.channel, number(half * LANES)), counted)
                for half, total in enumerate(sums)
            ]
            spot = builder.add(use.entry("places", builder.add(use.place, number(row))), use.column)
            store(builder, builder.shuffle_vector(*levels, natural), use.at("out", spot))
        stairs.keep_count()
        return context.get_dummy_value()

    return types.void(*arguments), generate


def _sums(builder, use):
    """Return the sums of a tile: `PIXELS` pairs of vectors, in `channel_order`."""
    rows = [
        use.at(
            "x",
            builder.add(use.entry("windows", builder.add(use.window, number(row))), use.channel),
        )
        for row in range(PIXELS)
    ]
    weights = use.at("weights", use.start)
    order = channel_order()
    interleaved = [
        lanes(c + side * CHANNELS for c in order[first : first + LANES] for side in (0, 1))
        for first in (0, LANES)
    ]

    def pair(position, sums):
        first = builder.shl(position, number(1))
        taps = [use.entry("taps", builder.add(first, number(side))) for side in (0, 1)]
        offset = builder.mul(position, number(2 * CHANNELS))
        columns = [
            load(builder, builder.gep(weights, [builder.add(offset, number(half))]), PAIRS)
            for half in (0, 2 * LANES)
        ]
        totals = []
        for row, pointer in enumerate(rows):
            sides = [load(builder, builder.gep(pointer, [tap]), PAIRS) for tap in taps]
            for half in (0, 1):
                mixed = builder.shuffle_vector(*sides, interleaved[half])
                more = sum_of_pairs(builder, mixed, columns[half])
                totals.append(builder.add(sums[2 * row + half], more))
        return totals

    sums = loop(builder, use.pairs, [ZEROS] * (2 * PIXELS), pair)
    return [sums[2 * row : 2 * row + 2] for row in range(PIXELS)]


@numba.njit(cache=True, nogil=True)
def convolve_channels(
    x, shape, steps, images, taps, weights, channels, block,
    scale, offset, low, high, over, cut, out, out_steps,
):  # fmt: skip
    """Write the levels of all windows of each channel; return the number of saturated values.

    Parameters
    ----------
    x : int16 (size,)
        Padded images, and at least `CHANNELS` values after the last.
    shape, steps, images : as in `simulator.plan.fast.products.convolve`
    taps : int64 (2 * pairs,)
        Offset of each tap from the start of a window; two make a pair.
    weights : int16 (size,)
        In the layout of `simulator.plan.fast.layout.tap_pairs`.
    channels : int
    block : int
        Number of windows whose values stay in the cache while all channels are computed.
    scale, offset, low, high, over, cut : as in `convolve`, but in `channel_order`
    out, out_steps : as in `convolve`
    """
    pairs = len(taps) // 2
    depth = pairs * 2 * CHANNELS
    total = images * shape[0] * shape[1]
    windows, places = np.empty(block + PIXELS, np.int64), np.empty(block, np.int64)
    scratch, inside = np.empty(PIXELS * CHANNELS, np.int16), np.arange(PIXELS) * CHANNELS
    saturated = np.zeros(LANES, np.int32)
    for first in range(0, total, block):
        count = min(block, total - first)
        find_windows(first, count, shape, steps, windows)
        find_windows(first, count, shape, out_steps, places)
        for channel in range(0, channels, CHANNELS):
            start = channel // CHANNELS * depth
            columns = min(CHANNELS, channels - channel)
            for window in range(0, count, PIXELS):
                rows = min(PIXELS, count - window)
                if rows == PIXELS and columns == CHANNELS:
                    depthwise_steps(
                        x, windows, window, taps, pairs, weights, start,
                        scale, offset, low, high, over, cut, channel, rows,
                        out, places, window, channel, saturated,
                    )  # fmt: skip
                    continue
                depthwise_steps(
                    x, windows, window, taps, pairs, weights, start,
                    scale, offset, low, high, over, cut, channel, rows,
                    scratch, inside, 0, 0, saturated,
                )  # fmt: skip
                copy_part(scratch, CHANNELS, rows, columns, out, places, window, channel)
    return saturated.sum()
