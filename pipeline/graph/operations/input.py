"""The model's input."""

from __future__ import annotations

from pipeline.graph.attributes import DTYPE, SHAPE, Attribute
from pipeline.graph.operation import Operation


class Input(Operation):
    """The images; every model has one, without the batch axis."""

    attributes = {"shape": Attribute(SHAPE), "dtype": Attribute(DTYPE, "uint8")}
    arity = 0

    def output_shape(self, node):
        return tuple(node.attrs["shape"])


OPERATIONS = (Input(),)
