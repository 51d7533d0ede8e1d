"""Sums, and products with constants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.tensor import Tensor
from pipeline.importers.rescalings import affine_node

QUOTIENT = "it divides two computed tensors; allowed: a division by a constant"


def arithmetic(call: Call) -> Tensor:
    """Read an Add, Sub, Mul or Div of two operands, one of which may be a constant."""
    if len(call.values) != 2 or None in call.values:
        raise ModelError(f"it has {len(call.values)} inputs; allowed: 2")
    tensors = [value for value in call.values if isinstance(value, Tensor)]
    if len(tensors) == 2:
        return _two(call)
    place = call.values.index(tensors[0])
    tensor, constant = call.per_channel(call.tensor(place), call.weights(1 - place))
    scale, offset = _line(call.node.op, constant.astype(np.float64), place)
    made = affine(call, tensor, scale, offset)
    if np.all(scale == 1):
        call.builder.shifts[made.node] = np.float32(offset)
    return made


def _line(op, c, place):
    """Return scale and offset of x op c, or of c op x where x comes second."""
    zero, one = np.zeros_like(c), np.ones_like(c)
    if op == "Add":
        return one, c
    if op == "Sub":
        return (one, -c) if place == 0 else (-one, c)
    if op == "Mul":
        return c, zero
    if place == 1:
        raise ModelError("it divides by a computed tensor; allowed: by a constant")
    if not np.all(c):
        raise ModelError("it divides by 0")
    return 1 / c, zero


def affine(call: Call, tensor: Tensor, scale, offset, part: str = "") -> Tensor:
    """Return ``x * scale + offset``, each one number or one per channel."""
    name = f"{call.name}_{part}" if part else call.name
    producer = call.builder.nodes[tensor.node]
    numbers = (_plain(np.asarray(value)) for value in (scale, offset))
    node = call.builder.add(affine_node(name, producer, tensor.own_shape, *numbers))
    return replace(tensor, node=node)


def _plain(array):
    return float(array) if array.ndim == 0 else tuple(map(float, array))


def _two(call):
    if call.node.op == "Div":
        raise ModelError(QUOTIENT)
    if call.node.op == "Mul":
        return _product(call, call.tensor(0), call.tensor(1))
    first, second = aligned(call, [call.tensor(0), call.tensor(1)])
    if call.node.op == "Sub":
        second = affine(call, second, -1.0, 0.0, part="minus")
    return _added(call, [first, second], average=False)


def _product(call, first, second):
    """Return a gate, such as that of squeeze-and-excite: axes of size 1 are repeated."""
    if len(first.shape) != len(second.shape):
        raise ModelError(
            f"it multiplies tensors of the sizes {first.shape}, {second.shape}; allowed: the same"
            " number of axes"
        )
    if first.shape != second.shape:
        first, second = (
            call.builder.straight(tensor, call.name) if tensor.packed is not None else tensor
            for tensor in (first, second)
        )
    first, second = aligned(call, [first, second])
    node = call.emit("Multiply", [first.node, second.node], {})
    return replace(call.builder.tensor(node, first.order), packed=first.packed)


def aligned(call: Call, tensors: list[Tensor]) -> list[Tensor]:
    """Return tensors in the same order of axes, that of the first."""
    packed = {
        tensor.packed and (tensor.packed.own_shape, tensor.packed.order) for tensor in tensors
    }
    if len(packed) > 1:
        tensors = [call.builder.straight(tensor, call.name) for tensor in tensors]
    return [call.builder.ordered(tensor, tensors[0].order, call.name) for tensor in tensors]


def _added(call, tensors, average):
    shapes = {tensor.shape for tensor in tensors}
    if len(shapes) > 1:
        found = ", ".join(map(str, sorted(shapes)))
        raise ModelError(f"it adds tensors of the sizes {found}; allowed: one size")
    node = call.emit("Add", [tensor.node for tensor in tensors], {"average": average})
    return replace(tensors[0], node=node)


def total(call: Call) -> Tensor:
    """Read a Sum or a Mean of computed tensors."""
    tensors = [call.tensor(index) for index in range(len(call.values))]
    if len(tensors) == 1:
        return tensors[0]
    return _added(call, aligned(call, tensors), call.node.op == "Mean")


RULES = {
    **{name: Rule(read=arithmetic, keeps_shape=True) for name in ("Add", "Sub", "Mul", "Div")},
    "Sum": Rule(read=total, keeps_shape=True),
    "Mean": Rule(read=total, keeps_shape=True),
}
