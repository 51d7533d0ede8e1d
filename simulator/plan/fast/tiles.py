"""Register tiles of the ``fast`` backend: products of some windows and some filters.

Windows are read in place, without copying columns: a window is ``kh`` runs of ``kw * channels``
contiguous values. 16-bit products are added in 32-bit sums, exact while the sum of all magnitudes
is below 2**31; a plan's bound of 2**24 is stricter.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from simulator.plan.fast.vectors import (
    LANES,
    PAIRS,
    SUMS,
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
"""Windows and vectors of filters of a tile: its sums, a row of weights and two temporaries fill the
registers (16 of 256 bits, otherwise 32)."""
FILTERS = LANES * VECTORS
"""Number of filters of a tile."""

WINDOWS = ("x", "windows", "window", "weights", "start", "runs", "run_step", "pairs")
"""Arguments that define the sums.

x : int16 array; windows : int64 array, start of each window in x; window : int64, the tile's first
entry of it; weights : int16 array, from `start` on: for each run and pair of depths two weights of
each filter; a window is `runs` pieces of ``2 * pairs`` values, `run_step` apart.
"""


@intrinsic
def tile_steps(
    typing, x, windows, window, weights, start, runs, run_step, pairs,
    scale, offset, low, high, over, cut, filter_, rows, out, places, place, column, saturated,
):  # fmt: skip
    """Write the levels of one tile to `out` at ``places[place + row] + column``.

    Adds the saturated values of the first `rows` windows to `saturated`, int32 (LANES,); see
    `WINDOWS` and `simulator.plan.fast.products.convolve`.
    """
    names = (
        *WINDOWS, "scale", "offset", "low", "high", "over", "cut", "filter_", "rows",
        "out", "places", "place", "column", "saturated",
    )  # fmt: skip
    index = types.int64
    arguments = (
        x, windows, index, weights, *[index] * 4,
        scale, offset, index, high, over, cut, index, index, out, places, index, index, saturated,
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
        stairs.keep_count()
        return context.get_dummy_value()

    return types.void(*arguments), generate


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


@intrinsic
def tile_totals(
    typing, x, windows, window, weights, start, runs, run_step, pairs,
    bias, low, high, filter_, begin, end, totals,
):  # fmt: skip
    """Write the totals of the bounded sums of some rows to `totals`, int32 (FILTERS,).

    Parameters
    ----------
    bias, low, high : int32 arrays
        Bias added to each sum, then its bounds, from entry `filter_` on.
    begin, end : int64
        Range of the tile's rows.
    """
    index = types.int64
    arguments = (
        x, windows, index, weights, *[index] * 4, bias, low, high, index, index, index, totals,
    )  # fmt: skip
    names = (*WINDOWS, "bias", "low", "high", "filter_", "begin", "end", "totals")

    def generate(context, builder, signature, values):
        use = Arguments(context, builder, signature, values, names)
        rows = _products(builder, use)
        for vector, first in enumerate(range(0, FILTERS, LANES)):
            entry = builder.add(use.filter_, number(first))
            bias, low, high = (
                load(builder, use.at(name, entry), SUMS) for name in ("bias", "low", "high")
            )
            total = ZEROS
            for row, sums in enumerate(rows):
                value = builder.add(sums[vector], bias)
                value = builder.select(builder.icmp_signed(">", value, low), value, low)
                value = builder.select(builder.icmp_signed("<", value, high), value, high)
                inside = builder.and_(
                    builder.icmp_signed("<=", use.begin, number(row)),
                    builder.icmp_signed("<", number(row), use.end),
                )
                total = builder.add(total, builder.select(inside, value, ZEROS))
            store(builder, total, use.at("totals", number(first)))
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
