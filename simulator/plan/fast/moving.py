"""Copies of the ``fast`` backend: inputs with their padding, cleared borders, outputs as floats."""

from __future__ import annotations

from llvmlite import ir

from simulator.plan.fast.code import F32, I8, I16, I32, Code, Value
from simulator.plan.fast.row import Row
from simulator.plan.fast.vectors import Vectors

SOURCES = {
    "uint8": (I8, "zext"),
    "int8": (I8, "sext"),
    "int16": (I16, "sext"),
    "int32": (I32, "sext"),
}
"""Dtype to LLVM's type and its conversion to int32."""


def copy(module, vectors: Vectors, source: str, size: int) -> Code:
    """Write the kernel that copies images of dtype `source` plus `add`, with padding.

    `width` values of each of `height` rows are copied, between ``left`` and ``right`` bytes of
    padding from `template`, which is a padded row; `top` and `bottom` rows are padding.

    Parameters
    ----------
    size : int
        Bytes of a value of the copy.
    """
    code = Code(module, f"copy_{source}_{size}", ("row",), public=True)
    row = Row(code, code.argument("row"))
    height, width, template = row.take("height", "width", "template")
    top, bottom, left, right = row.take("top", "bottom", "left", "right")
    inner = width * size
    whole = left + inner + right
    place, start = code.variable(row.out), code.variable(row.x)
    with code.loop(0, row.images) as image:
        with code.loop(0, top):
            _copy_bytes(code, vectors, template, place.get(), whole)
            place.set(place.get() + whole)
        start.set(row.x + image * row.image_step)
        with code.loop(0, height):
            _copy_bytes(code, vectors, template, place.get(), left)
            _convert(code, vectors, source, size, start.get(), place.get() + left, width, row.add)
            skip = left + inner
            _copy_bytes(code, vectors, template + skip, place.get() + skip, right)
            place.set(place.get() + whole)
            start.set(start.get() + row.row_step)
        with code.loop(0, bottom):
            _copy_bytes(code, vectors, template, place.get(), whole)
            place.set(place.get() + whole)
    code.finish()
    return code


def clear(module, vectors: Vectors) -> Code:
    """Write the kernel that writes zeros around images of `height` rows of `width` bytes."""
    code = Code(module, "clear", ("row",), public=True)
    row = Row(code, code.argument("row"))
    top, bottom, left, right = row.take("top", "bottom", "left", "right")
    height, width = row.take("height", "width")
    whole = left + width + right
    place = code.variable(row.out)
    with code.loop(0, row.images):
        _fill(code, vectors, place.get(), top * whole + left)
        place.set(place.get() + (top * whole + left))
        with code.loop(1, height):
            _fill(code, vectors, place.get() + width, right + left)
            place.set(place.get() + whole)
        _fill(code, vectors, place.get() + width, right + bottom * whole)
        place.set(place.get() + (width + right + bottom * whole))
    code.finish()
    return code


def scale(module, vectors: Vectors, source: str) -> Code:
    """Write the kernel that writes values of dtype `source` times `scale` as float32."""
    code = Code(module, f"scale_{source}", ("row",), public=True)
    row = Row(code, code.argument("row"))
    kind, _ = SOURCES[source]
    size = kind.width // 8
    place = code.variable(row.out)
    with code.loop(0, row.images) as image, code.loop(0, row.height) as line:
        start = row.x + image * row.image_step + line * row.row_step
        with code.loop(0, row.width) as column, code.loop(0, row.filters) as channel:
            value = code.load(start + column * row.column_step + channel * size, kind)
            value = _widened(value, source, I32).to(F32, "sitofp")
            code.store(value * code.load(row.scale + channel * 4, F32), place.get())
            place.set(place.get() + 4)
    code.finish()
    return code


def _convert(code, vectors, source, size, start, place, count, add) -> None:
    """Copy `count` values plus a number, as integers of `size` bytes."""
    kind, _ = SOURCES[source]
    lanes, narrow = vectors.lanes, ir.IntType(8 * size)
    if kind.width == 8 * size:
        lanes *= 4 // size
    whole = count - count % lanes
    with code.loop(0, whole, lanes) as first:
        values = code.load(start + first * (kind.width // 8), ir.VectorType(kind, lanes))
        if kind.width != 8 * size:
            values = _widened(values, source, ir.VectorType(I32, lanes))
        more = add.to(values.type.element, "trunc").to_lanes(values.type)
        values = _narrowed(values + more, ir.VectorType(narrow, lanes))
        code.store(values, place + first * size)
    with code.loop(whole, count) as number:
        value = _widened(code.load(start + number * (kind.width // 8), kind), source, I32)
        value = _narrowed(value + add.to(I32, "trunc"), narrow)
        code.store(value, place + number * size)


def _widened(value: Value, source: str, kind) -> Value:
    return value if value.type == kind else value.to(kind, SOURCES[source][1])


def _narrowed(value: Value, kind) -> Value:
    return value if value.type == kind else value.to(kind, "trunc")


def _copy_bytes(code, vectors, start, place, count) -> None:
    whole = count - count % vectors.size
    with code.loop(0, whole, vectors.size) as first:
        code.store(code.load(start + first, vectors.bytes), place + first)
    with code.loop(whole, count) as byte:
        code.store(code.load(start + byte, I8), place + byte)


def _fill(code, vectors, place, count) -> None:
    whole = count - count % vectors.size
    with code.loop(0, whole, vectors.size) as first:
        code.store(code.number(0, vectors.bytes), place + first)
    with code.loop(whole, count) as byte:
        code.store(code.number(0, I8), place + byte)


def zero(module, vectors: Vectors) -> Code:
    """Write the kernel that writes `width` bytes of zeros to `out`."""
    code = Code(module, "zero", ("row",), public=True)
    row = Row(code, code.argument("row"))
    _fill(code, vectors, row.out, row.width)
    code.finish()
    return code
