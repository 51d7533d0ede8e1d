"""Consumers of the sums of a tile: levels of a staircase, the sums themselves, or totals."""

from __future__ import annotations

from llvmlite import ir

from simulator.plan.fast.code import I8, I16, I32, Code, Value
from simulator.plan.fast.row import Row
from simulator.plan.fast.vectors import Vectors

FINISH = ("row", "sums", "rows", "stride", "columns", "places", "filter")
"""Arguments: row of the table; int32 sums (rows, stride bytes); number of rows and of filters;
address of the place of each row's output, int64, in bytes; the first filter."""
KINDS = {1: I8, 2: I16, 4: I32}


def finish(module, vectors: Vectors, name: str, size: int, counted: bool) -> Code:
    """Write the function that writes outputs of `size` bytes; it returns the saturated values.

    Parameters
    ----------
    name : {"integers", "floats", "sums"}
        ``(sum * scale + offset) >> 32`` in 64 bits; ``trunc(sum * scale + offset)`` in float32,
        plus `low`; the sums themselves. Levels are clipped to `low` and `high`.
    counted : bool
        True counts levels below `under`, or `over` and above.
    """
    code = Code(module, f"finish_{name}_{size}{'_counted' * counted}", FINISH, public=True)
    row = Row(code, code.argument("row"))
    sums, rows, stride, columns, places, first = code.arguments(*FINISH[1:])
    count = code.variable(code.number(0, vectors.sums))
    spare, out = code.memory(vectors.size), row.out
    with code.loop(0, columns, vectors.lanes) as column:
        level = _LEVELS[name](code, vectors, row, first + column)
        bounds = _Bounds(code, vectors, row, first + column, counted) if name != "sums" else None
        left, skip = columns - column, (first + column) * size
        with code.loop(0, rows) as number:
            value = level(code.load(sums + number * stride + column * 4, vectors.sums))
            if bounds is not None:
                value = bounds.clip(value, count, left)
            if size < 4:
                value = value.to(ir.VectorType(KINDS[size], vectors.lanes), "trunc")
            _store(code, vectors, value, out + code.entry(places, number) + skip, left, spare, size)
    code.finish(_sum(code, vectors, count.get()) if counted else 0)
    return code


def totals(module, vectors: Vectors) -> Code:
    """Write the function that adds sums within `low` and `high` to int32 totals in `out`.

    The memory of the totals is padded to a multiple of a vector in every image.
    """
    code = Code(module, "finish_totals", FINISH, public=True)
    row = Row(code, code.argument("row"))
    sums, rows, stride, columns, places, first = code.arguments(*FINISH[1:])
    out = row.out
    with code.loop(0, columns, vectors.lanes) as column:
        entry = (first + column) * 4
        low, high = (code.load(bound + entry, vectors.sums) for bound in (row.low, row.high))
        with code.loop(0, rows) as number:
            value = code.load(sums + number * stride + column * 4, vectors.sums)
            value = code.smaller(code.larger(value, low), high)
            place = out + code.entry(places, number) + entry
            code.store(code.load(place, vectors.sums) + value, place)
    code.finish()
    return code


def _integers(code, vectors, row, entry):
    """Return the function from sums to ``(sum * scale + offset) >> 32``."""
    half = vectors.size
    scale, offset = (
        [code.load(table + entry * 8 + side * half, vectors.wides) for side in (0, 1)]
        for table in (row.scale, row.offset)
    )
    # Sign-extended from 32 bits, so that LLVM selects a single multiplication.
    scale = [(values << 32) >> 32 for values in scale]

    def level(total: Value) -> Value:
        both = total.to(vectors.wides)
        even, odd = (both << 32) >> 32, both >> 32
        products = even * scale[0] + offset[0], odd * scale[1] + offset[1]
        upper = products[1] & code.number(0xFFFFFFFF << 32, vectors.wides)
        return (products[0].unsigned_shift(32) | upper).to(vectors.sums)

    return level


def _floats(code, vectors, row, entry):
    """Return the function from sums to ``trunc(sum * scale + offset) + low``."""
    scale, offset = (
        code.load(table + entry * 4, vectors.floats) for table in (row.scale, row.offset)
    )
    low = row.low.to(I32, "trunc").to_lanes(vectors.sums)

    def level(total: Value) -> Value:
        steps = total.to(vectors.floats, "sitofp") * scale + offset
        return steps.to(vectors.sums, "fptosi") + low

    return level


def _same(code, vectors, row, entry):
    """Return the function that returns the sums."""
    return lambda total: total


_LEVELS = {"integers": _integers, "floats": _floats, "sums": _same}


class _Bounds:
    """Bounds of levels, and the levels that count as saturated."""

    def __init__(self, code, vectors, row, entry, counted: bool):
        self.code, self.vectors = code, vectors
        self.low = row.low.to(I32, "trunc").to_lanes(vectors.sums)
        self.high = code.load(row.high + entry * 4, vectors.sums)
        self.beyond = None
        if counted:
            self.beyond = [
                code.load(table + entry * 4, vectors.sums) for table in (row.over, row.under)
            ]

    def clip(self, level: Value, count, left: Value) -> Value:
        """Return clipped levels; add those beyond the counted bounds to `count`."""
        if self.beyond is not None:
            over, under = self.beyond
            beyond = (level >= over) | (level < under)
            # A true comparison is -1.
            count.set(count.get() - beyond.to(self.vectors.sums, "sext"))
        return self.code.smaller(self.code.larger(level, self.low), self.high)


def _store(code, vectors, value, place, left, spare, size: int) -> None:
    """Write a vector, of which only the first `left` lanes exist."""
    with code.when(left >= vectors.lanes):
        code.store(value, place)
    with code.when(left < vectors.lanes):
        code.store(value, spare)
        with code.loop(0, left * size) as byte:
            code.store(code.load(spare + byte, I8), place + byte)


def _sum(code, vectors, count: Value):
    """Return the sum of a vector's lanes, int64."""
    place = code.memory(vectors.size)
    code.store(count, place)
    total = code.number(0)
    for lane in range(vectors.lanes):
        total = total + code.load(place + 4 * lane, I32).to(code.number(0).type, "zext")
    return total
