"""Convolutions of 3 by 3 with 16 products for 4 outputs instead of 36: Winograd's F(2x2, 3x3).

A tile of 4 by 4 inputs d and a kernel g gives 2 by 2 outputs ``A' [(G g G') * (B' d B)] A`` (Lavin
and Gray, 2016), summed over the channels before A is applied. G contains halves, so that both its
factors are doubled here and the outputs divided by 4: all integers, and exact. Transformed inputs
are at most 4 * max|d| and transformed kernels at most 9 * max|g|; `transformed` checks that they
fit 16 bits. Intermediate sums may wrap around 2**32, since the result, four times a sum, is below
2**31.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simulator.plan.fast.products import find_windows
from simulator.plan.fast.tiles import FILTERS, POSITIONS, tile_sums
from simulator.plan.fast.vectors import (
    LANES,
    PAIRS,
    SUMS,
    Arguments,
    Stairs,
    load,
    number,
    store,
)

POINTS = 16
"""Number of products per channel of a tile."""
TILES = 8 * POSITIONS
"""Number of tiles that are transformed together."""
CHUNK = 2 * LANES
"""Number of channels that are transformed at once."""
KERNEL = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
"""2 * G."""


def transformed(linear, sums_shape, input_range) -> np.ndarray | None:
    """Return ``4 G g G'`` of a layer's weights, int64 (4, 4, channels, filters).

    None if the layer cannot be computed this way, which requires a plain 3x3 convolution, complete
    tiles, and 16-bit factors.
    """
    kh, kw, channels, filters = linear.weights.shape
    plain = linear.kind == "conv" and (kh, kw) == (3, 3) and linear.strides == (1, 1)
    partial = sums_shape[0] % 2 or sums_shape[1] % 2 or channels % CHUNK or filters % FILTERS
    if partial or not plain:
        return None
    points = np.einsum("ia,abcf,jb->ijcf", KERNEL, linear.weights, KERNEL)
    largest = max(4 * max(map(abs, input_range)), int(np.abs(points).max()))
    return points if largest < 1 << 15 else None


@intrinsic
def transform_inputs(typing, x, start, row_step, column_step, out, place, part):
    """Write ``B' d B`` of `CHUNK` channels of a tile.

    Parameters
    ----------
    x : int16 array
        The tile starts at `start`; its rows and columns are `row_step` and `column_step` apart.
    out : int16 array
        Point p is written to ``place + p * part``.
    """
    index = types.int64
    names = ("x", "start", "row_step", "column_step", "out", "place", "part")

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)

        def value(row, column):
            offset = builder.add(
                builder.mul(use.row_step, number(row)), builder.mul(use.column_step, number(column))
            )
            return load(builder, use.at("x", builder.add(use.start, offset)), PAIRS)

        columns = [_input_transform(builder, [value(row, c) for row in range(4)]) for c in range(4)]
        for row in range(4):
            points = _input_transform(builder, [columns[column][row] for column in range(4)])
            for column, point in enumerate(points):
                offset = builder.mul(use.part, number(4 * row + column))
                store(builder, point, use.at("out", builder.add(use.place, offset)))
        return context.get_dummy_value()

    return types.void(x, index, index, index, out, index, index), generate


@intrinsic
def tile_levels(
    typing, sums, tile, part, scale, offset, low, high, over, cut, filter_,
    out, place, row_step, column_step, saturated,
):  # fmt: skip
    """Write the levels of 2 by 2 outputs of `FILTERS` filters.

    Parameters
    ----------
    sums : int32 array
        Point p of the tile is at ``tile + p * part``.
    scale, offset, low, high, over, cut, filter_, saturated
        As in `simulator.plan.fast.products.convolve` and `tile_steps`.
    out : int16 array
        The first output is at `place`; rows and columns are `row_step` and `column_step` apart.
    """
    index = types.int64
    arguments = (
        sums, index, index, scale, offset, index, high, over, cut, index,
        out, index, index, index, saturated,
    )  # fmt: skip
    names = (
        "sums", "tile", "part", "scale", "offset", "low", "high", "over", "cut", "filter_",
        "out", "place", "row_step", "column_step", "saturated",
    )  # fmt: skip

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)
        stairs, two = Stairs(builder, use), ir.Constant(SUMS, [2] * LANES)
        for first in range(0, FILTERS, LANES):

            def value(point, first=first):
                offset = builder.add(builder.mul(use.part, number(point)), number(first))
                return load(builder, use.at("sums", builder.add(use.tile, offset)), SUMS)

            columns = [
                _output_transform(builder, [value(4 * r + c) for r in range(4)]) for c in range(4)
            ]
            for row in range(2):
                pair = _output_transform(builder, [columns[column][row] for column in range(4)])
                for column, total in enumerate(pair):
                    total = builder.ashr(total, two)
                    entry = builder.add(use.filter_, number(first))
                    levels = stairs(total, entry, ir.Constant(ir.IntType(1), 1))
                    offset = builder.add(
                        builder.mul(use.row_step, number(row)),
                        builder.mul(use.column_step, number(column)),
                    )
                    spot = builder.add(builder.add(use.place, number(first)), offset)
                    store(builder, levels, use.at("out", spot))
        stairs.keep_count()
        return context.get_dummy_value()

    return types.void(*arguments), generate


def _input_transform(builder, d):
    """Return ``B' d``."""
    return [
        builder.sub(d[0], d[2]),
        builder.add(d[1], d[2]),
        builder.sub(d[2], d[1]),
        builder.sub(d[1], d[3]),
    ]


def _output_transform(builder, m):
    """Return ``A' m``."""
    return [
        builder.add(builder.add(m[0], m[1]), m[2]),
        builder.sub(builder.sub(m[1], m[2]), m[3]),
    ]


@numba.njit(cache=True, nogil=True)
def convolve_tiles(
    x, shape, steps, images, weights, pairs, filters, block,
    scale, offset, low, high, over, cut, out, out_steps,
):  # fmt: skip
    """Write the levels of all windows of 3 by 3; return the number of saturated values.

    Parameters
    ----------
    weights : int16 (size,)
        In the layout of `simulator.plan.fast.layout.winograd_panels`.
    pairs : int
        Half the number of channels.

    See `simulator.plan.fast.products.convolve` for the other parameters.
    """
    channels, part = 2 * pairs, TILES * 2 * pairs
    half = shape[0] // 2, shape[1] // 2
    total = images * half[0] * half[1]
    starts, places = np.empty(TILES, np.int64), np.empty(TILES, np.int64)
    values = np.empty(POINTS * part, np.int16)
    sums = np.empty(POINTS * TILES * FILTERS, np.int32)
    windows, spots = np.arange(POINTS * TILES) * channels, np.arange(POINTS * TILES) * FILTERS
    saturated = np.zeros(LANES, np.int32)
    for first in range(0, total, TILES):
        count = min(TILES, total - first)
        find_windows(first, count, half, (steps[0], 2 * steps[1], 2 * steps[2]), starts)
        find_windows(first, count, half, (out_steps[0], 2 * out_steps[1], 2 * out_steps[2]), places)
        for tile in range(count):
            for channel in range(0, channels, CHUNK):
                transform_inputs(
                    x, starts[tile] + channel, steps[1], steps[2],
                    values, tile * channels + channel, part,
                )  # fmt: skip
        for filter_ in range(0, filters, FILTERS):
            for point in range(POINTS):
                start = (filter_ // FILTERS * POINTS + point) * pairs * 2 * FILTERS
                for tile in range(0, count, POSITIONS):
                    window = point * TILES + tile
                    tile_sums(
                        values, windows, window, weights, start, 1, 0, pairs,
                        sums, spots, window, 0,
                    )  # fmt: skip
            for tile in range(count):
                tile_levels(
                    sums, tile * FILTERS, TILES * FILTERS, scale, offset, low, high, over, cut,
                    filter_, out, places[tile] + filter_, out_steps[1], out_steps[2], saturated,
                )  # fmt: skip
    return saturated.sum()
