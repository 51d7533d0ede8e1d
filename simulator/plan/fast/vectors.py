"""Vectors of a kind of processor, and operations on them.

LLVM compiles a sum of pairs of widened 16-bit products to one instruction if there is one (x86:
``vpmaddwd``); the result is that of 32-bit arithmetic everywhere.
"""

from __future__ import annotations

from llvmlite import ir

from simulator.plan.fast.code import F32, I8, I16, I32, I64, Value
from simulator.plan.fast.processor import Processor

DOT = "llvm.x86.avx512.vpdpbusd"


class Vectors:
    """Types of vectors of a processor.

    Attributes
    ----------
    lanes : int
        32-bit values of a vector.
    sums, floats, pairs, bytes, wides : LLVM types
        A vector of int32, float32, int16, int8 and int64.
    half, quarter : LLVM types
        As many int16 and int8 as there are sums in a vector.
    positions, columns : int
        Windows and vectors of filters of a tile: its sums, a row of weights and two temporaries
        fill the registers (16 up to 256 bits, otherwise 32).
    """

    def __init__(self, processor: Processor):
        self.dots, self.bits = processor.dots, processor.bits
        self.lanes = lanes = processor.lanes
        self.sums, self.floats = ir.VectorType(I32, lanes), ir.VectorType(F32, lanes)
        self.pairs, self.bytes = ir.VectorType(I16, 2 * lanes), ir.VectorType(I8, 4 * lanes)
        self.wides = ir.VectorType(I64, lanes // 2)
        self.half, self.quarter = ir.VectorType(I16, lanes), ir.VectorType(I8, lanes)
        self.positions, self.columns = {4: (6, 4), 8: (6, 2), 16: (12, 2)}[lanes]

    @property
    def size(self) -> int:
        """Bytes of a vector."""
        return self.bits // 8

    @property
    def filters(self) -> int:
        """Number of filters of a tile."""
        return self.lanes * self.columns

    def add_dots(self, sums: Value, unsigned: Value, signed: Value) -> Value:
        """Return sums plus four products each of unsigned and signed bytes.

        All are vectors of int32. Nothing saturates: sums are exact modulo 2**32.
        """
        code = sums.code
        return code.intrinsic(f"{DOT}.{self.bits}", self.sums, sums, unsigned, signed)

    def add_pairs(self, sums: Value, left: Value, right: Value) -> Value:
        """Return sums plus two products each of int16; all are vectors of int32."""
        wide = ir.VectorType(I32, 2 * self.lanes)
        left, right = (value.to(self.pairs).to(wide, "sext") for value in (left, right))
        products = left * right
        even, odd = (products.shuffled(products, range(side, 2 * self.lanes, 2)) for side in (0, 1))
        return sums + (even + odd)
