"""Convolutions and dense layers of the ``fast`` backend: sums of products, register by register.

Windows are read where they lie: a window is ``kh`` runs of ``kw * channels`` neighbours, and no
columns are copied. All arithmetic is 16-bit products in 32-bit sums, exact while the sum of all
magnitudes is below 2**31; a plan's bound of 2**24 is stricter.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from simulator.plan.fast.vectors import (
    LANES,
    PAIRS,
    ZEROS,
    Arguments,
    Stairs,
    load,
    loop,
    number,
    repeated_pair,
    store,
    sum_of_pairs,
)

POSITIONS, VECTORS = {4: (6, 4), 8: (6, 2), 16: (12, 2)}[LANES]
"""Windows and vectors of filters in a tile: its sums, a row of weights and two temporaries fill
the registers (16 where they have 256 bits, 32 otherwise)."""
FILTERS = LANES * VECTORS
"""Filters of a tile."""

WINDOWS = ("x", "windows", "window", "weights", "start", "runs", "run_step", "pairs")
"""Arguments that say what is summed.

x : int16 array; windows : int64 array, where each window begins in x; window : int64, the tile's
first entry of it; weights : int16 array, from `start`: for each run and pair of depths two weights
of each filter; a window is `runs` pieces of ``2 * pairs`` values, `run_step` apart.
"""


@intrinsic
def tile_steps(
    typing, x, windows, window, weights, start, runs, run_step, pairs,
    scale, offset, low, high, over, under, filter_, rows, out, places, place, column,
):  # fmt: skip
    """Write the levels of one tile to `out` at ``places[place + row] + column``.

    Returns how many values of the first `rows` windows saturated, int64; see `WINDOWS` and
    `convolve`.
    """
    names = (
        *WINDOWS, "scale", "offset", "low", "high", "over", "under", "filter_", "rows",
        "out", "places", "place", "column",
    )  # fmt: skip
    index = types.int64
    arguments = (
        x, windows, index, weights, *[index] * 4,
        scale, offset, index, high, over, under, index, index, out, places, index, index,
    )  # fmt: skip

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)
        stairs = Stairs(builder, use)
        for row, sums in enumerate(_products(builder, use)):
            spot = builder.add(use.entry("places", builder.add(use.place, number(row))), use.column)
            counted = builder.icmp_signed("<", number(row), use.rows)
            for first, total in zip(range(0, FILTERS, LANES), sums, strict=True):
                levels = stairs(total, builder.add(use.filter_, number(first)), counted)
                store(builder, levels, use.at("out", builder.add(spot, number(first))))
        return stairs.saturated()

    return types.int64(*arguments), generate


@intrinsic
def tile_sums(
    typing, x, windows, window, weights, start, runs, run_step, pairs, out, places, place, column
):
    """Write the sums of one tile to `out`, int32, at ``places[place + row] + column``."""
    index = types.int64
    arguments = (x, windows, index, weights, *[index] * 4, out, places, index, index)
    names = (*WINDOWS, "out", "places", "place", "column")

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)
        for row, sums in enumerate(_products(builder, use)):
            spot = builder.add(use.entry("places", builder.add(use.place, number(row))), use.column)
            for first, total in zip(range(0, FILTERS, LANES), sums, strict=True):
                store(builder, total, use.at("out", builder.add(spot, number(first))))
        return context.get_dummy_value()

    return types.void(*arguments), generate


def _products(builder, use):
    """Return the sums of a tile: `POSITIONS` lists of `VECTORS` vectors."""
    rows = [
        use.at("x", use.entry("windows", builder.add(use.window, number(row))))
        for row in range(POSITIONS)
    ]
    weights = use.at("weights", use.start)

    def run(piece, state):
        base = builder.mul(piece, use.run_step)

        def pair(position, state):
            offset, *sums = state
            columns = [
                load(builder, builder.gep(weights, [builder.add(offset, number(first))]), PAIRS)
                for first in range(0, 2 * FILTERS, 2 * LANES)
            ]
            depth = builder.add(base, builder.shl(position, number(1)))
            for row, pointer in enumerate(rows):
                values = repeated_pair(builder, builder.gep(pointer, [depth]))
                for place, column in enumerate(columns, row * VECTORS):
                    sums[place] = builder.add(sums[place], sum_of_pairs(builder, values, column))
            return [builder.add(offset, number(2 * FILTERS)), *sums]

        return loop(builder, use.pairs, state, pair)

    _, *sums = loop(builder, use.runs, [number(0), *[ZEROS] * (POSITIONS * VECTORS)], run)
    return [sums[row * VECTORS : (row + 1) * VECTORS] for row in range(POSITIONS)]


@numba.njit(cache=True, nogil=True)
def find_windows(first, count, shape, steps, table):
    """Write where `count` windows from number `first` begin, in steps of image, row, column."""
    height, width = shape
    image, rest = divmod(first, height * width)
    row, column = divmod(rest, width)
    for entry in range(count):
        table[entry] = image * steps[0] + row * steps[1] + column * steps[2]
        column += 1
        if column == width:
            column = 0
            row += 1
            if row == height:
                row = 0
                image += 1


@numba.njit(cache=True, nogil=True)
def convolve(
    x, shape, steps, images, weights, piece, filters, block,
    scale, offset, low, high, over, under, out, out_steps,
):  # fmt: skip
    """Write the levels of all windows; return how many values saturate.

    Parameters
    ----------
    x : int16 (size,)
        Images inside their borders, and at least one value behind the last.
    shape : (height, width)
        Windows of an image.
    steps : (image, row, column)
        How far windows begin apart in `x`.
    images : int
    weights : int16 (size,)
        As `simulator.plan.fast.layout.panels` lays them out.
    piece : (runs, run_step, pairs)
        See `WINDOWS`.
    filters : int
    block : int
        Windows whose values stay in the cache while all filters pass over them.
    scale, offset : int64 (filters,), or None
        In the order of `simulator.plan.fast.layout.lane_pairs`; levels are
        ``(sum * scale + offset) >> 32``, and the sums themselves without them.
    low : int
    high : int32 (filters,)
        Bounds of the levels. All vectors are filled up to whole tiles.
    over : int32 (filters,) or None
        Levels from which values count as saturated.
    under : int or None
        Whether values below `low` do; any number says yes.
    out : int16 (size,)
    out_steps : (image, row, column)
        How far outputs begin apart in `out`.
    """
    runs, run_step, pairs = piece
    depth = runs * pairs * 2 * FILTERS
    total = images * shape[0] * shape[1]
    windows = np.empty(block + POSITIONS, np.int64)
    places = np.empty(block + POSITIONS, np.int64)
    scratch, inside = np.empty(POSITIONS * FILTERS, np.int16), np.arange(POSITIONS) * FILTERS
    saturated = 0
    for first in range(0, total, block):
        count = min(block, total - first)
        find_windows(first, count, shape, steps, windows)
        find_windows(first, count, shape, out_steps, places)
        # A tile's last rows repeat the last window; what they give is dropped.
        windows[count : count + POSITIONS] = windows[count - 1]
        for filter_ in range(0, filters, FILTERS):
            start = filter_ // FILTERS * depth
            columns = min(FILTERS, filters - filter_)
            for window in range(0, count, POSITIONS):
                rows = min(POSITIONS, count - window)
                if rows == POSITIONS and columns == FILTERS:
                    saturated += tile_steps(
                        x, windows, window, weights, start, runs, run_step, pairs,
                        scale, offset, low, high, over, under, filter_, rows,
                        out, places, window, filter_,
                    )  # fmt: skip
                    continue
                saturated += tile_steps(
                    x, windows, window, weights, start, runs, run_step, pairs,
                    scale, offset, low, high, over, under, filter_, rows,
                    scratch, inside, 0, 0,
                )  # fmt: skip
                for row in range(rows):
                    place = places[window + row] + filter_
                    for column in range(columns):
                        out[place + column] = scratch[row * FILTERS + column]
    return saturated


@numba.njit(cache=True, nogil=True)
def sum_products(x, shape, steps, images, weights, piece, filters, block, out):
    """Write the sums of all windows to `out`, int32 (positions * filters,); as in `convolve`."""
    runs, run_step, pairs = piece
    depth = runs * pairs * 2 * FILTERS
    total = images * shape[0] * shape[1]
    windows, inside = np.empty(block + POSITIONS, np.int64), np.arange(POSITIONS) * FILTERS
    sums = np.empty(POSITIONS * FILTERS, np.int32)
    for first in range(0, total, block):
        count = min(block, total - first)
        find_windows(first, count, shape, steps, windows)
        windows[count : count + POSITIONS] = windows[count - 1]
        for filter_ in range(0, filters, FILTERS):
            start = filter_ // FILTERS * depth
            for window in range(0, count, POSITIONS):
                tile_sums(
                    x, windows, window, weights, start, runs, run_step, pairs, sums, inside, 0, 0
                )
                for row in range(min(POSITIONS, count - window)):
                    place = (first + window + row) * filters + filter_
                    for column in range(min(FILTERS, filters - filter_)):
                        out[place + column] = sums[row * FILTERS + column]


@numba.njit(cache=True, nogil=True)
def total_products(
    x, shape, steps, images, weights, piece, filters, block, bias, low, high, totals
):  # fmt: skip
    """Add up the sums of each image, each with its bias and within its bounds.

    Parameters
    ----------
    bias, low, high : int32 (filters rounded up to `FILTERS`,)
        Sums with bias are below 2**24, so that those of a tile add up below 2**31.
    totals : int64 (images, filters)
        Increased.

    The other parameters are those of `convolve`.
    """
    runs, run_step, pairs = piece
    depth = runs * pairs * 2 * FILTERS
    positions = shape[0] * shape[1]
    windows, inside = np.empty(block + POSITIONS, np.int64), np.arange(POSITIONS) * FILTERS
    sums, part = np.empty(POSITIONS * FILTERS, np.int32), np.empty(FILTERS, np.int32)
    for first in range(0, images * positions, block):
        count = min(block, images * positions - first)
        find_windows(first, count, shape, steps, windows)
        windows[count : count + POSITIONS] = windows[count - 1]
        for filter_ in range(0, filters, FILTERS):
            start = filter_ // FILTERS * depth
            for window in range(0, count, POSITIONS):
                tile_sums(
                    x, windows, window, weights, start, runs, run_step, pairs, sums, inside, 0, 0
                )
                row, rows = 0, min(POSITIONS, count - window)
                while row < rows:
                    image = (first + window + row) // positions
                    end = min(rows, (image + 1) * positions - first - window)
                    part[:] = 0
                    for member in range(row, end):
                        for column in range(FILTERS):
                            value = sums[member * FILTERS + column] + bias[filter_ + column]
                            value = max(value, low[filter_ + column])
                            part[column] += min(value, high[filter_ + column])
                    for column in range(min(FILTERS, filters - filter_)):
                        totals[image, filter_ + column] += part[column]
                    row = end
