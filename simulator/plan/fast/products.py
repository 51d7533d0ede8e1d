"""Convolutions and dense layers of the ``fast`` backend: loops over tiles of windows."""

from __future__ import annotations

from simulator.plan.fast.code import I64, WORD, Code, Value
from simulator.plan.fast.row import Row
from simulator.plan.fast.tiles import heights, tile
from simulator.plan.fast.vectors import Vectors


def find_windows(code: Code, first: Value, count: Value, shape, steps, table: Value, more: int):
    """Write the start of `count` windows from number `first` on to a table of int64.

    `more` entries repeat the last one: a tile computes all its rows and discards surplus.

    Parameters
    ----------
    shape : (height, width)
        Windows of an image.
    steps : (image, row, column)
        Bytes between windows.
    """
    height, width = shape
    image, rest = (
        code.variable(part) for part in (first // (height * width), first % (height * width))
    )
    row, column = code.variable(rest.get() // width), code.variable(rest.get() % width)
    place = code.variable(0)
    with code.loop(0, count) as entry:
        start = image.get() * steps[0] + row.get() * steps[1] + column.get() * steps[2]
        code.store(start, table + entry * WORD)
        place.set(start)
        column.set(column.get() + 1)
        with code.when(column.get().equals(width)):
            column.set(code.number(0))
            row.set(row.get() + 1)
            with code.when(row.get().equals(height)):
                row.set(code.number(0))
                image.set(image.get() + 1)
    for entry in range(more):
        code.store(place.get(), table + (count + entry) * WORD)


class Blocks:
    """Windows of a row of the table, block by block.

    Parameters
    ----------
    code : Code
    row : Row
    rows : int
        Most windows of a tile.
    """

    def __init__(self, code: Code, row: Row, rows: int):
        self.code, self.row, self.rows = code, row, rows
        self.shape = row.take("height", "width")
        self.steps = row.take("image_step", "row_step", "column_step")
        self.out_steps = row.take("out_image_step", "out_row_step", "out_column_step")
        self.block, self.windows = row.block, row.scratch
        self.places = self.windows + (self.block + rows) * WORD
        self.total = row.images * self.shape[0] * self.shape[1]

    def find(self, first: Value) -> Value:
        """Write both tables of the block from window `first` on; return its number of windows."""
        code = self.code
        count = code.smaller(self.block, self.total - first)
        find_windows(code, first, count, self.shape, self.steps, self.windows, self.rows)
        find_windows(code, first, count, self.shape, self.out_steps, self.places, self.rows)
        return count


def scratch_size(block: int, rows: int) -> int:
    """Return the bytes that `Blocks` needs for two tables."""
    return 2 * (block + rows) * WORD


def chosen_finish(code: Code, row: Row) -> Value:
    """Return the address of the function that consumes the sums."""
    return code.either(row.counting.differs(0), row.count_finish, row.finish)


def convolve(module, vectors: Vectors, unit: str) -> Code:
    """Write the kernel that multiplies all windows by all filters; see `row.FIELDS`."""
    tiles = {
        (rows, columns): tile(module, vectors, unit, rows, columns, f"{unit}_{rows}_{columns}")
        for rows in heights(vectors)
        for columns in range(1, vectors.columns + 1)
    }
    code = Code(module, f"convolve_{unit}", ("row",), public=True)
    row = Row(code, code.argument("row"))
    positions, filters = vectors.positions, row.filters
    blocks = Blocks(code, row, positions)
    x, weights, initial = row.take("x", "weights", "initial")
    runs, run_step, steps = row.take("runs", "run_step", "steps")
    depth = runs * steps * (vectors.filters * 4)
    finish, saturated = chosen_finish(code, row), code.variable(0)
    sums = code.memory(positions * vectors.filters * 4)
    with code.loop(0, blocks.total, blocks.block) as first:
        count = blocks.find(first)
        with code.loop(0, filters, vectors.filters) as filter_:
            columns = code.smaller(filters - filter_, vectors.filters)
            panel = weights + (filter_ // vectors.filters) * depth
            with code.loop(0, count, positions) as window:
                rows = code.smaller(count - window, positions)
                chosen, stride = _choose(code, vectors, tiles, rows, columns)
                code.call(
                    chosen, x, blocks.windows + window * WORD, panel, runs, run_step, steps,
                    initial + filter_ * 4, sums,
                )  # fmt: skip
                place = blocks.places + window * WORD
                found = code.call(finish, row.address, sums, rows, stride, columns, place, filter_)
                saturated.set(saturated.get() + found)
    row.set("saturated", row.saturated + saturated.get())
    code.finish()
    return code


def _choose(code, vectors, tiles, rows, columns):
    """Return the address of the smallest tile that is large enough, and the bytes of its rows."""

    def address(key):
        return Value(code, code.builder.ptrtoint(tiles[key].function, I64))

    def tallest(width: int) -> Value:
        chosen, *smaller = heights(vectors)
        found = address((chosen, width))
        for height in smaller:
            found = code.either(rows <= height, address((height, width)), found)
        return found

    found, stride = tallest(vectors.columns), code.number(vectors.columns * vectors.size)
    for width in range(vectors.columns - 1, 0, -1):
        fits = columns <= width * vectors.lanes
        found = code.either(fits, tallest(width), found)
        stride = code.either(fits, width * vectors.size, stride)
    return found, stride


def finish_rows(module) -> Code:
    """Write the kernel that passes int32 `x` (images, filters) to the row's `finish`."""
    code = Code(module, "finish_rows", ("row",), public=True)
    row = Row(code, code.argument("row"))
    with code.loop(0, row.images) as image:
        code.store(image * row.out_image_step, row.scratch + image * WORD)
    finish = chosen_finish(code, row)
    found = code.call(
        finish, row.address, row.x, row.images, row.image_step, row.filters, row.scratch, 0
    )
    row.set("saturated", row.saturated + found)
    code.finish()
    return code
