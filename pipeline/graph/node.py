"""One operation of a model: its name, type, inputs, attributes and float weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pipeline.graph.operation import Operation
from pipeline.graph.operations import OPERATIONS


@dataclass(frozen=True, eq=False)
class Node:
    """One operation of a graph.

    Attributes
    ----------
    name : str
        Unique in its graph; Keras layer names, ``/`` allowed.
    op : str
        Name of an operation of `pipeline.graph.operations`: a Keras class name (``Conv2D``...).
    inputs : tuple of str
        Names of the producing nodes, in order.
    attrs : mapping
        Attributes under their Keras names (``strides``, ``padding``...), JSON values only;
        pairs (``kernel_size``, ``strides``, ``pool_size``) are tuples of two int.
    weights : mapping of str to float32 array
        Variables under their Keras 3 names (``kernel``, ``bias``, ``gamma``...); HWIO kernels.
    split_from : str or None
        Name of the layer that a transform split into this one and others. Not saved: files keep the
        layers, not their history.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    split_from: str | None = None

    def __post_init__(self):
        """Freeze the containers, so that graphs can share a node."""
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    @property
    def operation(self) -> Operation:
        """The operation: weights, arithmetic and cost of the node's type."""
        return OPERATIONS[self.op]

    @property
    def parameters(self) -> int:
        """Number of weight values, trainable or not."""
        return sum(array.size for array in self.weights.values())

    def with_inputs(self, *inputs: str) -> Node:
        """Return the same node with other inputs."""
        return replace(self, inputs=inputs)

    def with_attrs(self, **attrs) -> Node:
        """Return the same node with some attributes replaced."""
        return replace(self, attrs={**self.attrs, **attrs})

    def with_weights(self, **weights: np.ndarray) -> Node:
        """Return the same node with some weights replaced or added."""
        return replace(self, weights={**self.weights, **weights})
