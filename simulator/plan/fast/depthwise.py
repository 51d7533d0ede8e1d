"""Depthwise convolutions of the ``fast`` backend: some taps of many channels at once."""

from __future__ import annotations

from llvmlite import ir

from simulator.plan.fast.code import I8, WORD, Code
from simulator.plan.fast.products import Blocks, chosen_finish
from simulator.plan.fast.row import Row
from simulator.plan.fast.vectors import Vectors

TILE = ("x", "windows", "weights", "taps", "steps", "initial", "sums", "stride")
"""Arguments of a tile: `x`, `weights` and `sums` from its first channel on, `steps` groups of taps,
`stride` bytes between the sums of two windows."""
GROUP = 4
"""Number of tiles of the same windows whose sums are consumed together."""


def channels(vectors: Vectors, unit: str) -> int:
    """Return the number of channels of a tile."""
    return vectors.lanes if unit == "bytes" else 2 * vectors.lanes


def pixels(vectors: Vectors, unit: str) -> int:
    """Return the number of windows of a tile."""
    return 8 if unit == "bytes" else 4


def tile_bytes(module, vectors: Vectors) -> Code:
    """Write the tile of bytes: four taps of a channel make a sum of four products."""
    code = Code(module, "depthwise_tile_bytes", TILE)
    x, windows, weights, taps, steps, initial, out, stride = code.arguments(*TILE)
    rows, lanes = pixels(vectors, "bytes"), vectors.lanes
    starts = [x + code.entry(windows, row) for row in range(rows)]
    sums = [code.variable(code.load(initial, vectors.sums)) for _ in range(rows)]
    part = ir.VectorType(I8, lanes)
    grouping = [tap * lanes // 4 + group for group in range(lanes // 4) for tap in range(4)]
    blocks = range(0, 4 * lanes, 16)
    transposing = [
        start + 4 * tap + lane for start in blocks for lane in range(4) for tap in range(4)
    ]
    with code.loop(0, steps) as step:
        offsets = [code.entry(taps, step * 4 + tap) for tap in range(4)]
        factor = code.load(weights + step * vectors.size, vectors.sums)
        for start, total in zip(starts, sums, strict=True):
            values = [code.load(start + offset, part) for offset in offsets]
            halves = [
                one.shuffled(other, range(2 * lanes)) for one, other in (values[:2], values[2:])
            ]
            joined = halves[0].shuffled(halves[1], range(4 * lanes)).to(vectors.sums)
            # Four channels of four taps to 128 bits, then transposed within them.
            grouped = joined.shuffled(joined, grouping).to(vectors.bytes)
            inputs = grouped.shuffled(grouped, transposing).to(vectors.sums)
            total.set(vectors.add_dots(total.get(), inputs, factor))
    for row, total in enumerate(sums):
        code.store(total.get(), out + stride * row)
    code.finish()
    return code


def tile_words(module, vectors: Vectors) -> Code:
    """Write the tile of words: two taps of a channel make a sum of two products.

    Two vectors of 16-bit values interleave within groups of 8 (128 bits on x86): the first vector
    of sums has the lower half of each group, the second the upper half.
    """
    code = Code(module, "depthwise_tile_words", TILE)
    x, windows, weights, taps, steps, initial, out, stride = code.arguments(*TILE)
    rows, count = pixels(vectors, "words"), channels(vectors, "words")
    order = channel_order(vectors)
    starts = [x + code.entry(windows, row) for row in range(rows)]
    zero = code.number(0, vectors.sums)
    sums = [[code.variable(zero) for _ in range(2)] for _ in range(rows)]
    interleaved = [
        [
            channel + side * count
            for channel in order[half : half + vectors.lanes]
            for side in (0, 1)
        ]
        for half in (0, vectors.lanes)
    ]
    with code.loop(0, steps) as step:
        offsets = [code.entry(taps, step * 2 + side) for side in (0, 1)]
        where = weights + step * (2 * vectors.size)
        factors = [code.load(where + half * vectors.size, vectors.sums) for half in (0, 1)]
        for start, row in zip(starts, sums, strict=True):
            one, other = (code.load(start + offset, vectors.pairs) for offset in offsets)
            for total, factor, mixing in zip(row, factors, interleaved, strict=True):
                values = one.shuffled(other, mixing).to(vectors.sums)
                total.set(vectors.add_pairs(total.get(), values, factor))
    natural = [order.index(channel) for channel in range(count)]
    first = [code.load(initial + half * vectors.size, vectors.sums) for half in (0, 1)]
    for number, row in enumerate(sums):
        lower, upper = (total.get() for total in row)
        for half in (0, 1):
            lanes = natural[half * vectors.lanes : (half + 1) * vectors.lanes]
            total = lower.shuffled(upper, lanes) + first[half]
            code.store(total, out + stride * number + half * vectors.size)
    code.finish()
    return code


def channel_order(vectors: Vectors) -> list[int]:
    """Return the channel of each sum of a tile of words."""
    groups = range(0, channels(vectors, "words"), 8)
    lower = [group + lane for group in groups for lane in range(4)]
    return lower + [channel + 4 for channel in lower]


def convolve_channels(module, vectors: Vectors, unit: str) -> Code:
    """Write the kernel that computes the windows of each channel; see `row.FIELDS`."""
    tile = tile_bytes(module, vectors) if unit == "bytes" else tile_words(module, vectors)
    code = Code(module, f"depthwise_{unit}", ("row",), public=True)
    row = Row(code, code.argument("row"))
    group, most = channels(vectors, unit), pixels(vectors, unit)
    blocks = Blocks(code, row, most)
    x, weights, initial, taps, steps = row.take("x", "weights", "initial", "taps", "steps")
    filters, finish, saturated = row.filters, chosen_finish(code, row), code.variable(0)
    size, stride = 1 if unit == "bytes" else 2, GROUP * group * 4
    sums = code.memory(most * stride)
    with code.loop(0, blocks.total, blocks.block) as first:
        count = blocks.find(first)
        with code.loop(0, filters, GROUP * group) as begin:
            columns = code.smaller(filters - begin, GROUP * group)
            with code.loop(0, count, most) as window:
                rows = code.smaller(count - window, most)
                starts = blocks.windows + window * WORD
                with code.loop(0, columns, group) as column:
                    channel = begin + column
                    panel = weights + channel * steps * 4
                    code.call(
                        tile, x + channel * size, starts, panel, taps, steps,
                        initial + channel * 4, sums + column * 4, stride,
                    )  # fmt: skip
                place = blocks.places + window * WORD
                found = code.call(finish, row.address, sums, rows, stride, columns, place, begin)
                saturated.set(saturated.get() + found)
    row.set("saturated", row.saturated + saturated.get())
    code.finish()
    return code
