"""The operators and constants of an ONNX graph, as they are added."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np

INT64 = np.int64


class Sheet:
    """A graph under construction; tensors are known by their names.

    Integers are int64 maps (batch, height, width, channels), as in the emulator. int64 holds every
    product and shifted sum of both chips.

    Parameters
    ----------
    onnx : module
    taken : collection of str
        Names that no operator or constant may have.
    """

    def __init__(self, onnx, taken: Collection[str] = ()):
        self.onnx, self.taken = onnx, frozenset(taken)
        self.nodes: list = []
        self.constants: list = []
        self.layer = ""
        self._count = 0
        self._names: dict[tuple, str] = {}

    def add(self, op: str, *inputs, **attrs) -> str:
        """Add an operator on tensors or arrays, and return its output."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        output = self._fresh(op.lower())
        self.nodes.append(self.onnx.helper.make_node(op, names, [output], output, **attrs))
        return output

    def name_last(self, tensor: str, name: str) -> str:
        """Give a tensor the name of the layer that computes it."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [tensor], [name], f"{name}/out"))
        return name

    def constant(self, values) -> str:
        """Return the name of a constant; a layer has equal ones, as all digits' weights, once."""
        values = np.asarray(values)
        content = hashlib.sha256(values.tobytes()).digest()
        key = self.layer, values.dtype.str, values.shape, content
        if key not in self._names:
            self._names[key] = self._fresh("constant")
            self.constants.append(self.onnx.numpy_helper.from_array(values, self._names[key]))
        return self._names[key]

    def cast(self, tensor: str, dtype) -> str:
        """Convert a tensor to another type."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", tensor, to=kind)

    def clip(self, tensor: str, value_bits: int) -> str:
        """Saturate integers to ``[-2**value_bits, 2**value_bits - 1]``."""
        return self.between(tensor, INT64(-(1 << value_bits)), INT64((1 << value_bits) - 1))

    def between(self, tensor: str, low, high) -> str:
        """Return a tensor limited to bounds of its type."""
        return self.least(self.most(tensor, low), high)

    def most(self, tensor: str, other) -> str:
        """Return the larger of two values each.

        Clip, Max and Min of onnxruntime 1.23 are wrong for int64 beyond 32 bits; comparisons are
        right.
        """
        name = other if isinstance(other, str) else self.constant(other)
        return self.add("Where", self.add("Less", tensor, name), name, tensor)

    def least(self, tensor: str, other) -> str:
        """Return the smaller of two values each."""
        name = other if isinstance(other, str) else self.constant(other)
        return self.add("Where", self.add("Less", name, tensor), name, tensor)

    def shift_left(self, tensor: str, shift: np.ndarray | None) -> str:
        """Multiply integers by ``2**shift``, one shift per channel."""
        if shift is None or not np.any(shift):
            return tensor
        return self.add("Mul", tensor, np.left_shift(INT64(1), shift.astype(INT64)))

    def _fresh(self, what):
        self._count += 1
        name = f"{self.layer}/{what}_{self._count}"
        return self._fresh(what) if name in self.taken else name
