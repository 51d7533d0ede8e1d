"""Max pooling of the ``fast`` backend."""

from __future__ import annotations

from llvmlite import ir

from simulator.plan.fast.code import I8, I16, I32, Code
from simulator.plan.fast.row import Row
from simulator.plan.fast.vectors import Vectors


def max_pool(module, vectors: Vectors, size: int) -> Code:
    """Write the kernel that writes the largest level of each window, clipped.

    `x` has int16 images of `runs` rows and `steps` columns, `image_step` and `row_step` bytes
    apart, of `filters` channels; a saturated level is beyond `low` or `high`. `out` has images of
    `height` by `width`. Windows are `pool_height` by `pool_width`, their strides `pool_row_step`
    and `pool_column_step`; `top` and `left` are the padding before them, which never is the
    maximum.

    Parameters
    ----------
    size : int
        Bytes of an output.
    """
    code = Code(module, f"max_pool_{size}", ("row",), public=True)
    row = Row(code, code.argument("row"))
    count = code.variable(code.number(0, vectors.sums))
    spare = code.memory(vectors.size)
    with (
        code.loop(0, row.images) as image,
        code.loop(0, row.height) as line,
        code.loop(0, row.width) as column,
    ):
        top, left = line * row.pool_row_step - row.top, column * row.pool_column_step - row.left
        lines = code.larger(top, 0), code.smaller(top + row.pool_height, row.runs)
        columns = code.larger(left, 0), code.smaller(left + row.pool_width, row.steps)
        place = row.out + image * row.out_image_step + line * row.out_row_step
        place = place + column * row.out_column_step
        with code.loop(0, row.filters, vectors.lanes) as channel:
            start = row.x + image * row.image_step + channel * 2
            best = code.variable(code.number(-32768, vectors.half))
            with code.loop(*lines) as y, code.loop(*columns) as z:
                address = start + y * row.row_step + z * row.column_step
                best.set(code.larger(best.get(), code.load(address, vectors.half)))
            level = best.get().to(vectors.sums, "sext")
            low = row.low.to(I32, "trunc").to_lanes(vectors.sums)
            high = code.load(row.high + channel * 4, vectors.sums)
            inside = code.smaller(code.larger(level, low), high)
            exists = code.load(row.over + channel * 4, vectors.sums)
            beyond = level.differs(inside).to(vectors.sums, "sext") & exists
            count.set(count.get() - beyond)
            value = inside.to(ir.VectorType(I8 if size == 1 else I16, vectors.lanes), "trunc")
            rest = row.filters - channel
            with code.when(rest >= vectors.lanes):
                code.store(value, place + channel * size)
            with code.when(rest < vectors.lanes):
                code.store(value, spare)
                with code.loop(0, rest * size) as byte:
                    code.store(code.load(spare + byte, I8), place + channel * size + byte)
    total = code.number(0)
    code.store(count.get(), spare)
    for lane in range(vectors.lanes):
        total = total + code.load(spare + 4 * lane, I32).to(total.type, "zext")
    row.set("saturated", row.saturated + total)
    code.finish()
    return code
