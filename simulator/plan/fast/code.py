"""Functions in LLVM's intermediate language, written as expressions, loops and branches.

Integers are 64-bit and signed, addresses are such integers, and vectors have the width of the
processor. LLVM promotes the variables to registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32 = ir.FloatType()
WORD = 8
"""Bytes of an entry of a table."""


class Value:
    """Integer, float or vector with Python's operators.

    Comparisons give booleans; a vector and a number give the vector's type.
    """

    def __init__(self, code: Code, value):
        self.code, self.ir = code, value

    @property
    def type(self):
        """LLVM's type."""
        return self.ir.type

    def _operate(self, operation: str, other, swapped: bool = False) -> Value:
        left, right = self.ir, self.code.constant(other, self.type)
        if swapped:
            left, right = right, left
        element = self.type.element if isinstance(self.type, ir.VectorType) else self.type
        if isinstance(element, ir.FloatType):
            operation = f"f{operation}"
        return Value(self.code, getattr(self.code.builder, operation)(left, right))

    def _compare(self, sign: str, other) -> Value:
        right = self.code.constant(other, self.type)
        return Value(self.code, self.code.builder.icmp_signed(sign, self.ir, right))

    def __add__(self, other):
        return self._operate("add", other)

    def __radd__(self, other):
        return self._operate("add", other)

    def __sub__(self, other):
        return self._operate("sub", other)

    def __rsub__(self, other):
        return self._operate("sub", other, swapped=True)

    def __mul__(self, other):
        return self._operate("mul", other)

    def __rmul__(self, other):
        return self._operate("mul", other)

    def __and__(self, other):
        return self._operate("and_", other)

    def __or__(self, other):
        return self._operate("or_", other)

    def __floordiv__(self, other):
        return self._operate("sdiv", other)

    def __mod__(self, other):
        return self._operate("srem", other)

    def __lshift__(self, other):
        return self._operate("shl", other)

    def __rshift__(self, other):
        return self._operate("ashr", other)

    def __lt__(self, other):
        return self._compare("<", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def __le__(self, other):
        return self._compare("<=", other)

    def __ge__(self, other):
        return self._compare(">=", other)

    def equals(self, other) -> Value:
        """Return where both are equal."""
        return self._compare("==", other)

    def differs(self, other) -> Value:
        """Return where both differ."""
        return self._compare("!=", other)

    def unsigned_shift(self, count: int) -> Value:
        """Return the bits shifted right, with zeros in front."""
        return self._operate("lshr", count)

    def to(self, kind, operation: str = "bitcast") -> Value:
        """Return the value converted by one of LLVM's operations."""
        return Value(self.code, getattr(self.code.builder, operation)(self.ir, kind))

    def to_lanes(self, kind) -> Value:
        """Return a vector of `kind` that repeats this number."""
        builder, none = self.code.builder, ir.Constant(kind, ir.Undefined)
        first = builder.insert_element(none, self.ir, ir.Constant(I32, 0))
        return Value(self.code, builder.shuffle_vector(first, none, order([0] * kind.count)))

    def shuffled(self, other, lanes) -> Value:
        """Return lanes of this vector and, with higher numbers, of the other."""
        return Value(self.code, self.code.builder.shuffle_vector(self.ir, other.ir, order(lanes)))


class Variable:
    """Value that changes."""

    def __init__(self, code: Code, initial: Value):
        with code.builder.goto_block(code.function.entry_basic_block):
            self._place = code.builder.alloca(initial.type)
        self._code = code
        self.set(initial)

    def get(self) -> Value:
        """Return the current value."""
        return Value(self._code, self._code.builder.load(self._place))

    def set(self, value: Value) -> None:
        """Replace the value."""
        self._code.builder.store(value.ir, self._place)


class Code:
    """Function that is being written.

    Parameters
    ----------
    module : llvmlite.ir.Module
    name : str
    parameters : sequence of str
        All are int64; `argument` returns them.
    public : bool
        True if Python needs the function's address.
    """

    def __init__(self, module, name: str, parameters, public: bool = False):
        kind = ir.FunctionType(I64, [I64] * len(parameters))
        self.module, self.function = module, ir.Function(module, kind, name)
        if not public:
            self.function.linkage = "internal"
        self._arguments = dict(zip(parameters, self.function.args, strict=True))
        self._entry = self.function.append_basic_block("entry")
        self._body = self.function.append_basic_block("body")
        self.builder = ir.IRBuilder(self._body)

    def argument(self, name: str) -> Value:
        """Return an argument."""
        return Value(self, self._arguments[name])

    def arguments(self, *names: str) -> list[Value]:
        """Return several arguments."""
        return [self.argument(name) for name in names]

    def finish(self, result=0) -> None:
        """End the function."""
        self.builder.ret(self.constant(result, I64))
        ir.IRBuilder(self._entry).branch(self._body)

    def constant(self, value, kind):
        """Return LLVM's value of a number or `Value`."""
        if isinstance(value, Value):
            return value.ir
        if isinstance(kind, ir.VectorType):
            return ir.Constant(kind, [value] * kind.count)
        return ir.Constant(kind, value)

    def number(self, value, kind=I64) -> Value:
        """Return a constant."""
        return Value(self, self.constant(value, kind))

    def variable(self, initial) -> Variable:
        """Return a new variable."""
        return Variable(self, initial if isinstance(initial, Value) else self.number(initial))

    @contextmanager
    def loop(self, start, stop, step=1) -> Iterator[Value]:
        """Repeat the statements inside for each index from `start` to before `stop`."""
        index = self.variable(start)
        head = self.function.append_basic_block("head")
        body = self.function.append_basic_block("loop")
        after = self.function.append_basic_block("after")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch((index.get() < stop).ir, body, after)
        self.builder.position_at_end(body)
        yield index.get()
        index.set(index.get() + step)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Execute the statements inside if a condition holds."""
        with self.builder.if_then(condition.ir):
            yield

    def either(self, condition: Value, one, other) -> Value:
        """Return one of two values, lane by lane."""
        one = one if isinstance(one, Value) else self.number(one)
        other = self.constant(other, one.type)
        return Value(self, self.builder.select(condition.ir, one.ir, other))

    def smaller(self, one: Value, other) -> Value:
        """Return the smaller value, lane by lane."""
        return self.either(one < other, one, other)

    def larger(self, one: Value, other) -> Value:
        """Return the larger value, lane by lane."""
        return self.either(one > other, one, other)

    def load(self, address: Value, kind=I64) -> Value:
        """Return what is at an address of any alignment."""
        loaded = self.builder.load(self._pointer(address, kind))
        loaded.align = 1
        return Value(self, loaded)

    def store(self, value: Value, address: Value) -> None:
        """Write a value to an address of any alignment."""
        stored = self.builder.store(value.ir, self._pointer(address, value.type))
        stored.align = 1

    def entry(self, table: Value, index) -> Value:
        """Return an entry of a table of int64."""
        return self.load(table + index * WORD)

    def _pointer(self, address: Value, kind):
        return self.builder.inttoptr(address.ir, kind.as_pointer())

    def memory(self, size: int) -> Value:
        """Return the address of some bytes on the stack, aligned to a cache line."""
        with self.builder.goto_block(self._entry):
            place = self.builder.alloca(ir.ArrayType(I8, size))
        place.align = 64
        return Value(self, self.builder.ptrtoint(place, I64))

    def call(self, function, *arguments) -> Value:
        """Call another function: `Code`, or an address."""
        values = [self.constant(argument, I64) for argument in arguments]
        if isinstance(function, Code):
            return Value(self, self.builder.call(function.function, values))
        kind = ir.FunctionType(I64, [I64] * len(values))
        pointer = self._pointer(function, kind)
        return Value(self, self.builder.call(pointer, values))

    def intrinsic(self, name: str, result, *values: Value) -> Value:
        """Call an operation of LLVM or of the processor."""
        function = self.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [value.type for value in values])
            function = ir.Function(self.module, kind, name)
        return Value(self, self.builder.call(function, [value.ir for value in values]))


def order(lanes):
    """Return a shuffle mask."""
    lanes = list(lanes)
    return ir.Constant(ir.VectorType(I32, len(lanes)), lanes)
