"""Base class of the operations of the float graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pipeline.graph.attributes import Attribute
from pipeline.graph.keras_form import KerasForm

Shape = tuple[int, ...]


class Operation(KerasForm):
    """One type of node: its weights, its arithmetic and its cost.

    A subclass is one operation, named as the Keras layer of the same meaning; its first docstring
    line describes it in docs/operations.md. It overrides what differs from this class, whose
    operation returns its only input. `KerasForm` has the part that concerns Keras. Operations have
    no state: one instance serves all nodes (`pipeline.graph.node.Node`).

    Attributes
    ----------
    attributes : mapping of str to Attribute
        By Keras' names of the attributes.
    arity : int
        Number of inputs; 0 for ``Input``, -1 for two or more.
    kernels : tuple of str
        Names of the weights that are kernels, in the order in which they are applied.
    ones : tuple of str
        Names of the weights initialised to 1; kernels are random, all others are 0.
    measured : tuple of str
        Names of the weights that are statistics of the data, not trained by gradient descent.
    join : bool
        Takes several inputs.
    on_maps : bool
        The input must be a map: (height, width, channels).
    neural : bool
        Has a kernel: a subclass of `pipeline.graph.neural.Neural`.
    convolution : bool
        Neural, and its kernel slides over a map; transposed convolutions excluded.
    transposed : bool
        Neural, and its kernel enlarges a map.
    depthwise : bool
        Neural, and each output channel depends on one input channel only.
    temporal : bool
        Neural, and the output depends on earlier images.
    activation : bool
        A nonlinear function, or one of several, applied to each value.
    pointwise : bool
        An output value depends only on the input value at the same position and channel.
    keeps_values : bool
        In inference, returns all values unchanged and in the same order.
    moves_only : bool
        Copies input values, or zeros around them, and computes no new ones.
    reshapes : bool
        Keeps the values, and may change the shape.
    pooling : bool
        Reduces windows of a map to one value per channel.
    """

    attributes: ClassVar[Mapping[str, Attribute]] = {}
    arity = 1
    kernels: tuple[str, ...] = ()
    ones: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    on_maps = False
    neural = convolution = transposed = depthwise = temporal = False
    activation = pointwise = keeps_values = moves_only = reshapes = pooling = False

    @property
    def join(self) -> bool:
        """True if the operation takes several inputs."""
        return self.arity < 0

    def weights(self, attrs: Mapping[str, Any], shape: Shape) -> dict[str, Shape]:
        """Return the shape of every weight for an input of `shape`, in the order of Keras."""
        return {}

    def output_shape(self, node, *shapes: Shape) -> Shape:
        """Return the shape of the output for inputs of `shapes`, all without the batch axis.

        Raises
        ------
        ModelError
            If the node does not fit its inputs.
        """
        return shapes[0]

    def forward(self, node, *inputs: np.ndarray) -> np.ndarray:
        """Return the output for float32 inputs with a batch axis.

        A temporal operation receives the frames of its buffer instead, oldest first.
        """
        return inputs[0]

    def macs(self, node, source: Shape, shape: Shape) -> int:
        """Return the multiply-accumulates of one image for input and output of these shapes."""
        return 0
