"""Several outputs, joined to one vector, and parts of such a vector."""

from __future__ import annotations

import math

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.attributes import OFFSET, SHAPE, Attribute
from pipeline.graph.operation import Operation


class Outputs(Operation):
    """The outputs of a model with several: each as a vector, one after the other.

    It ends a model, and no layer computes it: the host puts the vectors side by side.
    """

    arity = -1
    join = False
    in_keras = False

    def output_shape(self, node, *shapes):
        return (sum(map(math.prod, shapes)),)

    def forward(self, node, *inputs):
        return np.concatenate([value.reshape(len(value), -1) for value in inputs], 1)


class Part(Operation):
    """Values of a vector from one place on, in a shape: one of several outputs of a chip."""

    attributes = {"start": Attribute(OFFSET), "shape": Attribute(SHAPE)}
    moves_only = True
    in_keras = False

    def output_shape(self, node, shape):
        start, target = node.attrs["start"], node.attrs["shape"]
        if len(shape) != 1 or start + math.prod(target) > shape[0]:
            raise LayerError(
                node.name, f"takes the values {start} to {start + math.prod(target)} of {shape}"
            )
        return tuple(target)

    def forward(self, node, x):
        start, target = node.attrs["start"], node.attrs["shape"]
        return x[:, start : start + math.prod(target)].reshape(-1, *target)


OPERATIONS = (Outputs(), Part())
