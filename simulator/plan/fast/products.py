"""Convolutions and dense layers of the ``fast`` backend: loops over tiles of windows."""

from __future__ import annotations

import numba
import numpy as np

from simulator.plan.fast.tiles import FILTERS, POSITIONS, tile_steps, tile_sums, tile_totals
from simulator.plan.fast.vectors import LANES


@numba.njit(cache=True, nogil=True)
def find_windows(first, count, shape, steps, table):
    """Write the start of `count` windows from number `first` on, given (image, row, column) steps.

    The rest of the table repeats the last one: a tile computes all its rows and discards surplus.
    """
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
    table[count:] = table[count - 1]


@numba.njit(cache=True, nogil=True)
def copy_part(tile, width, rows, columns, out, places, place, first):
    """Copy `rows` by `columns` values of a tile of `width` to ``places[place + row] + first``."""
    for row in range(rows):
        start = places[place + row] + first
        for column in range(columns):
            out[start + column] = tile[row * width + column]


@numba.njit(cache=True, nogil=True)
def convolve(
    x, shape, steps, images, weights, piece, filters, block,
    scale, offset, low, high, over, cut, out, out_steps,
):  # fmt: skip
    """Write the levels of all windows; return the number of saturated values.

    Parameters
    ----------
    x : int16 (size,)
        Padded images, and at least one value after the last.
    shape : (height, width)
        Number of windows of an image.
    steps : (image, row, column)
        Distances between the starts of windows in `x`.
    images : int
    weights : int16 (size,)
        In the layout of `simulator.plan.fast.layout.panels`.
    piece : (runs, run_step, pairs)
        See `WINDOWS`.
    filters : int
    block : int
        Number of windows whose values stay in the cache while they are multiplied by all filters.
    scale, offset : int64 (filters,), or None
        In the order of `simulator.plan.fast.layout.lane_pairs`; levels are
        ``(sum * scale + offset) >> 32``, or the sums themselves if None.
    low : int
    high : int32 (filters,)
        Bounds of the levels. All vectors are padded to a multiple of a tile.
    over : int32 (filters,) or None
        Smallest levels that count as saturated.
    cut : int or None
        Any number counts all values beyond the bounds as saturated.
    out : int16 (size,)
    out_steps : (image, row, column)
        Distances between outputs in `out`.
    """
    runs, run_step, pairs = piece
    depth = runs * pairs * 2 * FILTERS
    total = images * shape[0] * shape[1]
    windows = np.empty(block + POSITIONS, np.int64)
    places = np.empty(block + POSITIONS, np.int64)
    scratch, inside = np.empty(POSITIONS * FILTERS, np.int16), np.arange(POSITIONS) * FILTERS
    saturated = np.zeros(LANES, np.int32)
    for first in range(0, total, block):
        count = min(block, total - first)
        find_windows(first, count, shape, steps, windows)
        find_windows(first, count, shape, out_steps, places)
        for filter_ in range(0, filters, FILTERS):
            start = filter_ // FILTERS * depth
            columns = min(FILTERS, filters - filter_)
            for window in range(0, count, POSITIONS):
                rows = min(POSITIONS, count - window)
                if rows == POSITIONS and columns == FILTERS:
                    tile_steps(
                        x, windows, window, weights, start, runs, run_step, pairs,
                        scale, offset, low, high, over, cut, filter_, rows,
                        out, places, window, filter_, saturated,
                    )  # fmt: skip
                    continue
                tile_steps(
                    x, windows, window, weights, start, runs, run_step, pairs,
                    scale, offset, low, high, over, cut, filter_, rows,
                    scratch, inside, 0, 0, saturated,
                )  # fmt: skip
                copy_part(scratch, FILTERS, rows, columns, out, places, window, filter_)
    return saturated.sum()


@numba.njit(cache=True, nogil=True)
def sum_products(x, shape, steps, images, weights, piece, filters, block, out):
    """Write the sums of all windows to `out`, int32 (positions * filters,); see `convolve`."""
    runs, run_step, pairs = piece
    depth = runs * pairs * 2 * FILTERS
    total = images * shape[0] * shape[1]
    windows, inside = np.empty(block + POSITIONS, np.int64), np.arange(POSITIONS) * FILTERS
    sums = np.empty(POSITIONS * FILTERS, np.int32)
    for first in range(0, total, block):
        count = min(block, total - first)
        find_windows(first, count, shape, steps, windows)
        places = np.arange(first, first + count) * filters
        for filter_ in range(0, filters, FILTERS):
            start = filter_ // FILTERS * depth
            columns = min(FILTERS, filters - filter_)
            for window in range(0, count, POSITIONS):
                tile_sums(
                    x, windows, window, weights, start, runs, run_step, pairs, sums, inside, 0, 0
                )
                rows = min(POSITIONS, count - window)
                copy_part(sums, FILTERS, rows, columns, out, places, window, filter_)


@numba.njit(cache=True, nogil=True)
def total_products(
    x, shape, steps, images, weights, piece, filters, block, bias, low, high, totals
):  # fmt: skip
    """Add the sums of each image, plus bias and clipped to bounds, to its totals.

    Parameters
    ----------
    bias, low, high : int32 (filters rounded up to `FILTERS`,)
        Magnitudes of sums plus bias are below 2**24, so that the total of a tile is below 2**31.
    totals : int64 (images, filters)
        Updated in place.

    See `convolve` for the other parameters.
    """
    runs, run_step, pairs = piece
    depth = runs * pairs * 2 * FILTERS
    positions = shape[0] * shape[1]
    windows, part = np.empty(block + POSITIONS, np.int64), np.empty(FILTERS, np.int32)
    for first in range(0, images * positions, block):
        count = min(block, images * positions - first)
        find_windows(first, count, shape, steps, windows)
        for filter_ in range(0, filters, FILTERS):
            start = filter_ // FILTERS * depth
            for window in range(0, count, POSITIONS):
                row, rows = 0, min(POSITIONS, count - window)
                while row < rows:
                    # A tile across two images is computed once for each of them.
                    image = (first + window + row) // positions
                    end = min(rows, (image + 1) * positions - first - window)
                    tile_totals(
                        x, windows, window, weights, start, runs, run_step, pairs,
                        bias, low, high, filter_, row, end, part,
                    )  # fmt: skip
                    for column in range(min(FILTERS, filters - filter_)):
                        totals[image, filter_ + column] += part[column]
                    row = end
