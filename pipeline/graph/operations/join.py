"""Joins."""

from __future__ import annotations

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.attributes import AXIS, FLAG, Attribute
from pipeline.graph.axes import axis_without_batch
from pipeline.graph.keras_form import KerasRule
from pipeline.graph.operation import Operation


class Add(Operation):
    """Sum, or average, of tensors of the same shape."""

    attributes = {"average": Attribute(FLAG, False)}
    arity = -1
    keras = {
        "Add": KerasRule(),
        "Average": KerasRule(attrs=(), convert=lambda config: {"average": True}),
    }

    def output_shape(self, node, *shapes):
        if len(set(shapes)) > 1:
            raise LayerError(node.name, f"cannot add shapes {', '.join(map(str, shapes))}")
        return shapes[0]

    def forward(self, node, *inputs):
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return total / np.float32(len(inputs)) if node.attrs["average"] else total

    def write_keras(self, attrs, generation):
        return ("Average" if attrs["average"] else "Add"), {}


class Concatenate(Operation):
    """Concatenation of tensors along an axis."""

    attributes = {"axis": Attribute(AXIS, -1)}
    arity = -1
    moves_only = True
    keras = {"Concatenate": KerasRule()}

    def output_shape(self, node, *shapes):
        axis = axis_without_batch(node, shapes[0])
        rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if len(rest) > 1:
            raise LayerError(node.name, f"cannot concatenate shapes {', '.join(map(str, shapes))}")
        joined = sum(shape[axis] for shape in shapes)
        return (*shapes[0][:axis], joined, *shapes[0][axis + 1 :])

    def forward(self, node, *inputs):
        return np.concatenate(inputs, node.attrs["axis"])


class Multiply(Operation):
    """Product of tensors, axes of size 1 repeated: a gate, which no chip computes."""

    arity = -1
    join = False
    keras = {"Multiply": KerasRule()}

    def output_shape(self, node, *shapes):
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            shape = ()
        if len({len(given) for given in shapes}) > 1 or not shape:
            raise LayerError(node.name, f"cannot multiply shapes {', '.join(map(str, shapes))}")
        return shape

    def forward(self, node, *inputs):
        product = inputs[0]
        for other in inputs[1:]:
            product = product * other
        return product


OPERATIONS = (Add(), Concatenate(), Multiply())
