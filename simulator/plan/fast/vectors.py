"""LLVM vector operations, from which the ``fast`` backend's register tiles are built.

numba compiles the loops; code that must stay in registers is written in vector operations that
every processor has in some width. LLVM compiles a sum of pairs of widened 16-bit products to one
instruction if there is one (x86: ``vpmaddwd``); the result is that of 32-bit arithmetic everywhere.

numba's cache of compiled loops depends on the file of the loop only: after a change here, delete
``__pycache__``; `simulator.plan.fast.selftest` detects stale or wrong code.
"""

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba import types


def _vector_bits() -> int:
    """Return the width of this processor's integer vectors."""
    features = llvmlite.binding.get_host_cpu_features()
    widths = {"avx512bw": 512, "avx2": 256}
    return next((bits for name, bits in widths.items() if features.get(name)), 128)


LANES = _vector_bits() // 32
"""32-bit sums in one vector."""
I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
SUMS, PAIRS = ir.VectorType(I32, LANES), ir.VectorType(I16, 2 * LANES)
HALF, WIDE = ir.VectorType(I16, LANES), ir.VectorType(I64, LANES // 2)
ZEROS = ir.Constant(SUMS, [0] * LANES)


class Arguments:
    """Arguments of an intrinsic by name: arrays as pointers to their data, None as None."""

    def __init__(self, context, builder, signature, values, names):
        self.context, self.builder = context, builder
        self.kinds = dict(zip(names, signature.args, strict=True))
        self.values = dict(zip(names, values, strict=True))

    def __getattr__(self, name: str):
        kind, value = self.kinds[name], self.values[name]
        if isinstance(kind, types.Array):
            return self.context.make_array(kind)(self.context, self.builder, value).data
        return None if isinstance(kind, types.NoneType) else value

    def at(self, name: str, index):
        """Return a pointer to one entry of an array."""
        return self.builder.gep(getattr(self, name), [index])

    def entry(self, name: str, index):
        """Return one entry of an array."""
        return self.builder.load(self.at(name, index))


class Stairs:
    """Staircase applied to vectors of sums; arguments ``scale, offset, low, high, over, cut``."""

    def __init__(self, builder, use: Arguments):
        self.builder, self.use, self.count = builder, use, ZEROS

    def __call__(self, total, first, counted):
        """Return the levels of a vector of int32 as int16.

        Parameters
        ----------
        total : vector of int32
        first : int64
            Index of the staircase's entry for the first lane.
        counted : bool (i1)
            True counts saturated values.
        """
        builder, use = self.builder, self.use
        level = total if use.scale is None else self._scaled(total, first)
        if use.over is not None:
            over = load(builder, use.at("over", first), SUMS)
            self._count(builder.icmp_signed(">=", level, over), counted)
        low = repeated(builder, builder.trunc(use.low, I32))
        high = load(builder, use.at("high", first), SUMS)
        inside = builder.select(builder.icmp_signed(">", level, low), level, low)
        inside = builder.select(builder.icmp_signed("<", inside, high), inside, high)
        if use.cut is not None:
            self._count(builder.icmp_signed("!=", level, inside), counted)
        return builder.trunc(inside, HALF)

    def keep_count(self):
        """Add the counts of saturated values to the argument ``saturated``, int32 (LANES,)."""
        if self.count is not ZEROS:
            before = load(self.builder, self.use.saturated, SUMS)
            store(self.builder, self.builder.add(before, self.count), self.use.saturated)

    def _scaled(self, total, first):
        """Return ``(total * scale + offset) >> 32``: the upper halves of 64-bit sums."""
        builder, thirty_two = self.builder, ir.Constant(WIDE, [32] * (LANES // 2))
        both = builder.bitcast(total, WIDE)
        even = builder.ashr(builder.shl(both, thirty_two), thirty_two)
        odd = builder.ashr(both, thirty_two)
        sums = []
        for side, values in enumerate((even, odd)):
            entry = builder.add(first, number(side * LANES // 2))
            scale, offset = (
                load(builder, self.use.at(name, entry), WIDE) for name in ("scale", "offset")
            )
            # Sign-extended from 32 bits, so that LLVM selects a single multiplication.
            scale = builder.ashr(builder.shl(scale, thirty_two), thirty_two)
            sums.append(builder.add(builder.mul(values, scale), offset))
        upper = ir.Constant(WIDE, [0xFFFFFFFF << 32] * (LANES // 2))
        joined = builder.or_(builder.lshr(sums[0], thirty_two), builder.and_(sums[1], upper))
        return builder.bitcast(joined, SUMS)

    def _count(self, beyond, counted):
        # A true comparison is -1.
        row = repeated(self.builder, self.builder.sext(counted, I32))
        found = self.builder.and_(self.builder.sext(beyond, SUMS), row)
        self.count = self.builder.sub(self.count, found)


def loop(builder, count, state, body):
    """Emit a loop that repeats ``state = body(index, state)`` `count` times, at least once."""
    before = builder.block
    repeat, after = builder.append_basic_block("repeat"), builder.append_basic_block("after")
    builder.branch(repeat)
    builder.position_at_end(repeat)
    index = builder.phi(I64)
    index.add_incoming(number(0), before)
    entering = []
    for value in state:
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        entering.append(phi)
    leaving = body(index, entering)
    end, following = builder.block, builder.add(index, number(1))
    index.add_incoming(following, end)
    for phi, value in zip(entering, leaving, strict=True):
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", following, count), repeat, after)
    builder.position_at_end(after)
    return leaving


def sum_of_pairs(builder, left, right):
    """Return ``left[0::2] * right[0::2] + left[1::2] * right[1::2]`` of int16 as int32."""
    wide = ir.VectorType(I32, 2 * LANES)
    products = builder.mul(builder.sext(left, wide), builder.sext(right, wide))
    none = ir.Constant(wide, ir.Undefined)
    even, odd = (
        builder.shuffle_vector(products, none, lanes(range(side, 2 * LANES, 2))) for side in (0, 1)
    )
    return builder.add(even, odd)


def repeated_pair(builder, pointer):
    """Return a vector that repeats the two int16 at a pointer."""
    return builder.bitcast(repeated(builder, load(builder, pointer, I32)), PAIRS)


def repeated(builder, value):
    """Return a vector of one int32 in every lane."""
    none = ir.Constant(SUMS, ir.Undefined)
    first = builder.insert_element(none, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, none, lanes([0] * LANES))


def lanes(order):
    """Return a shuffle mask."""
    order = list(order)
    return ir.Constant(ir.VectorType(I32, len(order)), order)


def load(builder, pointer, kind):
    """Load a vector from a pointer of any alignment."""
    loaded = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    loaded.align = 2
    return loaded


def store(builder, value, pointer):
    """Store a vector to a pointer of any alignment."""
    stored = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    stored.align = 2


def number(value: int):
    """Return an int64 constant."""
    return ir.Constant(I64, value)
