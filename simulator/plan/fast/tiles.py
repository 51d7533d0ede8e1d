"""Register tiles of the ``fast`` backend: products of some windows and some filters.

Windows are read in place, without copying columns: a window is some runs of contiguous values. The
products of a tile are added in 32-bit sums, modulo 2**32, which is exact while the result is below
2**31 in magnitude: a plan's bound of 2**24 is stricter.

Bytes: unsigned inputs times signed weights, four products to a sum at once (``vpdpbusd``). Words:
16-bit inputs and weights, two products at once.
"""

from __future__ import annotations

from simulator.plan.fast.code import I32, Code
from simulator.plan.fast.vectors import Vectors

TILE = ("x", "windows", "weights", "runs", "run_step", "steps", "initial", "sums")
"""Arguments of a tile, all addresses or counts.

windows : the start of each window in `x`, int64, in bytes
weights : for each run and step the weights of each filter
runs, run_step, steps : as in `simulator.plan.fast.row`
initial : int32 for each filter
sums : int32 (rows, filters), written
"""


def heights(vectors: Vectors) -> list[int]:
    """Return the numbers of windows for which there are tiles, largest first."""
    full = vectors.positions
    return [full, 2 * full // 3, full // 3, 1]


def tile(module, vectors: Vectors, unit: str, rows: int, columns: int, name: str) -> Code:
    """Write the tile of `rows` windows and `columns` vectors of filters.

    Parameters
    ----------
    unit : {"bytes", "words"}
    """
    code = Code(module, name, TILE)
    x, windows, weights, runs, run_step, steps, initial, out = code.arguments(*TILE)
    starts = [x + code.entry(windows, row) for row in range(rows)]
    first = [code.load(initial + column * vectors.size, vectors.sums) for column in range(columns)]
    sums = [[code.variable(value) for value in first] for _ in range(rows)]
    place = code.variable(weights)
    add = vectors.add_dots if unit == "bytes" else vectors.add_pairs

    def step(offset, side: int) -> None:
        where = place.get() + side * columns * vectors.size
        factors = [
            code.load(where + column * vectors.size, vectors.sums) for column in range(columns)
        ]
        for start, row in zip(starts, sums, strict=True):
            value = code.load(start + offset + 4 * side, I32).to_lanes(vectors.sums)
            for total, factor in zip(row, factors, strict=True):
                total.set(add(total.get(), value, factor))

    def advance(count: int) -> None:
        place.set(place.get() + count * columns * vectors.size)

    pairs = steps >> 1
    with code.loop(0, runs) as run:
        base = run * run_step
        # Two steps at once, since the addresses of the windows do not all fit into registers.
        with code.loop(0, pairs) as pair:
            for side in (0, 1):
                step(base + pair * 8, side)
            advance(2)
        with code.when((steps & 1).differs(0)):
            step(base + pairs * 8, 0)
            advance(1)
    for number, row in enumerate(sums):
        for column, total in enumerate(row):
            code.store(total.get(), out + (number * columns + column) * vectors.size)
    code.finish()
    return code
