"""Zeros and extremes of an output, in one pass while it is still in the cache."""

from __future__ import annotations

from llvmlite import ir

from simulator.plan.fast.code import I64, WORD, Code, Value
from simulator.plan.fast.moving import SOURCES
from simulator.plan.fast.row import Row
from simulator.plan.fast.vectors import Vectors


def measure(module, vectors: Vectors, source: str) -> Code:
    """Write the kernel that writes the number of zeros, the smallest and the largest value.

    `x` has images of `height` rows of `width` values, `image_step` and `row_step` bytes apart.
    """
    code = Code(module, f"measure_{source}", ("row",), public=True)
    row = Row(code, code.argument("row"))
    kind, widening = SOURCES[source]
    lanes, size = vectors.bits // kind.width, kind.width // 8
    state = _Extremes(code, ir.VectorType(kind, lanes), unsigned=widening == "zext")
    zeros, low, high = code.variable(0), code.variable(1 << 31), code.variable(-(1 << 31))
    with code.loop(0, row.images) as image, code.loop(0, row.height) as line:
        start = row.x + image * row.image_step + line * row.row_step
        whole = row.width - row.width % lanes
        with code.loop(0, whole, lanes) as first:
            zeros.set(zeros.get() + state.add(code.load(start + first * size, state.kind)))
        with code.loop(whole, row.width) as number:
            value = code.load(start + number * size, kind).to(I64, widening)
            zeros.set(zeros.get() + value.equals(0).to(I64, "zext"))
            low.set(code.smaller(low.get(), value))
            high.set(code.larger(high.get(), value))
    with code.when(row.width >= lanes):
        for value in state.lanes(0):
            low.set(code.smaller(low.get(), value))
        for value in state.lanes(1):
            high.set(code.larger(high.get(), value))
    for entry, value in enumerate((zeros, low, high)):
        code.store(value.get(), row.zeros + entry * WORD)
    code.finish()
    return code


class _Extremes:
    """Smallest and largest value of each lane."""

    def __init__(self, code: Code, kind, unsigned: bool):
        self.code, self.kind, self.unsigned = code, kind, unsigned
        width = kind.element.width
        low, high = (0, (1 << width) - 1) if unsigned else (-(1 << width - 1), (1 << width - 1) - 1)
        self.variables = [code.variable(code.number(value, kind)) for value in (high, low)]
        self.place = code.memory(kind.count * width // 8)

    def add(self, values: Value) -> Value:
        """Update the extremes; return the number of zeros, int64."""
        for variable, sign in zip(self.variables, "<>", strict=True):
            found = variable.get()
            compare = (
                self.code.builder.icmp_unsigned if self.unsigned else self.code.builder.icmp_signed
            )
            better = Value(self.code, compare(sign, values.ir, found.ir))
            variable.set(self.code.either(better, values, found))
        count = self.kind.count
        mask = values.equals(0).to(ir.IntType(count))
        ones = self.code.intrinsic(f"llvm.ctpop.i{count}", ir.IntType(count), mask)
        return ones if count == 64 else ones.to(I64, "zext")

    def lanes(self, side: int) -> list[Value]:
        """Return the smallest (0) or largest (1) value of each lane, int64."""
        code, size = self.code, self.kind.element.width // 8
        code.store(self.variables[side].get(), self.place)
        widening = "zext" if self.unsigned else "sext"
        return [
            code.load(self.place + lane * size, self.kind.element).to(I64, widening)
            for lane in range(self.kind.count)
        ]
