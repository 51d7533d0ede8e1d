"""Convolutions of 3 by 3 with 16 products for 4 outputs instead of 36: Winograd's F(2x2, 3x3).

A tile of 4 by 4 inputs d and a kernel g gives 2 by 2 outputs ``A' [(G g G') * (B' d B)] A`` (Lavin
and Gray, 2016), summed over the channels before A is applied. G contains halves, so that both its
factors are doubled here and the outputs divided by 4: all integers, and exact. Transformed inputs
are at most 4 * max|d| and transformed kernels at most 9 * max|g|; `transformed` checks that they
fit 16 bits. Intermediate sums may wrap around 2**32, since the result, four times a sum, is below
2**31.
"""

from __future__ import annotations

import numpy as np

from simulator.plan.fast.code import WORD, Code
from simulator.plan.fast.products import chosen_finish, find_windows
from simulator.plan.fast.row import Row
from simulator.plan.fast.tiles import tile
from simulator.plan.fast.vectors import Vectors

POINTS = 16
"""Number of products per channel of a tile."""
KERNEL = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
"""2 * G."""


def tiles(vectors: Vectors) -> int:
    """Return the number of tiles that are transformed together."""
    return 8 * vectors.positions


def scratch_size(vectors: Vectors, channels: int) -> int:
    """Return the bytes of memory that the kernel needs."""
    count = tiles(vectors)
    tables = 2 * (count + 1) * WORD + 2 * POINTS * count * WORD
    return tables + POINTS * count * (2 * channels + 4 * vectors.filters) + 64


def transformed(linear, sums_shape, input_range, vectors: Vectors) -> np.ndarray | None:
    """Return ``4 G g G'`` of a layer's weights, int64 (4, 4, channels, filters).

    None if the layer cannot be computed this way, which requires a plain 3x3 convolution, complete
    tiles, and 16-bit factors.
    """
    kh, kw, channels, filters = linear.weights.shape
    plain = linear.kind == "conv" and (kh, kw) == (3, 3) and linear.strides == (1, 1)
    chunk = 2 * vectors.lanes
    partial = sums_shape[0] % 2 or sums_shape[1] % 2 or channels % chunk
    if partial or filters % vectors.filters or not plain:
        return None
    points = np.einsum("ia,abcf,jb->ijcf", KERNEL, linear.weights, KERNEL)
    largest = max(4 * max(map(abs, input_range)), int(np.abs(points).max()))
    return points if largest < 1 << 15 else None


def convolve_tiles(module, vectors: Vectors) -> Code:
    """Write the kernel that computes all windows of 3 by 3; see `row.FIELDS`."""
    product = tile(module, vectors, "words", vectors.positions, vectors.columns, "winograd_tile")
    inputs, outputs = _transform_inputs(module, vectors), _transform_outputs(module, vectors)
    code = Code(module, "winograd", ("row",), public=True)
    row = Row(code, code.argument("row"))
    x, weights, filters, steps = row.take("x", "weights", "filters", "steps")
    channels, count = steps * 2, tiles(vectors)
    part = channels * (2 * count)
    starts = row.scratch
    places = starts + (count + 1) * WORD
    windows = places + (count + 1) * WORD
    sums = windows + POINTS * count * WORD
    values = sums + POINTS * count * vectors.filters * 4
    with code.loop(0, POINTS * count) as entry:
        code.store(entry * channels * 2, windows + entry * WORD)
    shape = row.height // 2, row.width // 2
    rows, columns = row.row_step, row.column_step
    out_rows, out_columns = row.out_row_step, row.out_column_step
    four, spots = code.memory(4 * vectors.filters * 4), code.memory(4 * WORD)
    finish, saturated = chosen_finish(code, row), code.variable(0)
    zeros = code.memory(vectors.filters * 4)
    for column in range(vectors.columns):
        code.store(code.number(0, vectors.sums), zeros + column * vectors.size)
    total = row.images * shape[0] * shape[1]
    with code.loop(0, total, count) as first:
        found = code.smaller(total - first, count)
        find_windows(code, first, found, shape, (row.image_step, rows * 2, columns * 2), starts, 1)
        steps_out = row.out_image_step, out_rows * 2, out_columns * 2
        find_windows(code, first, found, shape, steps_out, places, 1)
        with code.loop(0, found) as number, code.loop(0, channels, 2 * vectors.lanes) as channel:
            start = x + code.entry(starts, number) + channel * 2
            place = values + (number * channels + channel) * 2
            code.call(inputs, start, rows, columns, place, part)
        with code.loop(0, filters, vectors.filters) as filter_:
            with code.loop(0, POINTS) as point:
                panel = weights + (filter_ * POINTS + point * vectors.filters) * channels * 2
                with code.loop(0, found, vectors.positions) as number:
                    entry = point * count + number
                    code.call(
                        product, values, windows + entry * WORD, panel, 1, 0, steps, zeros,
                        sums + entry * (vectors.filters * 4),
                    )  # fmt: skip
            with code.loop(0, found) as number:
                size = vectors.filters * 4
                code.call(
                    outputs, sums + number * size, count * size, row.initial + filter_ * 4, four
                )
                place = code.entry(places, number)
                for position in range(4):
                    skip = out_rows * (position // 2) + out_columns * (position % 2)
                    code.store(place + skip, spots + position * WORD)
                more = code.call(
                    finish, row.address, four, 4, size, vectors.filters, spots, filter_
                )
                saturated.set(saturated.get() + more)
    row.set("saturated", row.saturated + saturated.get())
    code.finish()
    return code


def _transform_inputs(module, vectors: Vectors) -> Code:
    """Write ``B' d B`` of a vector of channels of a tile; point p goes to ``out + p * part``."""
    names = ("start", "row_step", "column_step", "out", "part")
    code = Code(module, "winograd_inputs", names)
    start, row_step, column_step, out, part = code.arguments(*names)

    def value(row, column):
        return code.load(start + row_step * row + column_step * column, vectors.pairs)

    columns = [_input_transform([value(row, column) for row in range(4)]) for column in range(4)]
    for row in range(4):
        points = _input_transform([columns[column][row] for column in range(4)])
        for column, point in enumerate(points):
            code.store(point, out + part * (4 * row + column))
    code.finish()
    return code


def _transform_outputs(module, vectors: Vectors) -> Code:
    """Write 2 by 2 sums of the filters of a tile; point p is at ``sums + p * part``."""
    names = ("sums", "part", "initial", "out")
    code = Code(module, "winograd_outputs", names)
    sums, part, initial, out = code.arguments(*names)
    for vector in range(vectors.columns):
        skip = vector * vectors.size

        def value(point, skip=skip):
            return code.load(sums + part * point + skip, vectors.sums)

        columns = [_output_transform([value(4 * r + c) for r in range(4)]) for c in range(4)]
        first = code.load(initial + skip, vectors.sums)
        for row in range(2):
            pair = _output_transform([columns[column][row] for column in range(4)])
            for column, total in enumerate(pair):
                place = out + (2 * row + column) * vectors.filters * 4 + skip
                code.store((total >> 2) + first, place)
    code.finish()
    return code


def _input_transform(d):
    """Return ``B' d``."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _output_transform(m):
    """Return ``A' m``."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
