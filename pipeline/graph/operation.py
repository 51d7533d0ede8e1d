"""What every operation of the float graph states about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pipeline.graph.attributes import Attribute

if TYPE_CHECKING:
    from pipeline.graph.node import Node

Shape = tuple[int, ...]


class Operation:
    """One type of node: what it carries, what it computes and what it costs.

    A subclass is one operation, named as the Keras layer of the same meaning; its first docstring
    line describes it in docs/operations.md. It overrides what does not hold here: the operation of
    this class returns its only input. Operations have no state: one instance serves all nodes.

    Attributes
    ----------
    attributes : mapping of str to Attribute
        By Keras' name of the attribute.
    arity : int
        Number of inputs; 0 for ``Input``, -1 for two or more.
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
        A nonlinear function, or a choice of them, that works on each value by itself.
    pointwise : bool
        An output value depends on the input value of the same position and channel only.
    keeps_values : bool
        In inference, passes all values on unchanged and in the same order.
    reshapes : bool
        Keeps the values, and may change the shape.
    pooling : bool
        Reduces windows of a map to one value per channel.
    """

    attributes: ClassVar[Mapping[str, Attribute]] = {}
    arity = 1
    on_maps = False
    neural = convolution = transposed = depthwise = temporal = False
    activation = pointwise = keeps_values = reshapes = pooling = False

    @property
    def name(self) -> str:
        """Name of the operation: the class's."""
        return type(self).__name__

    @property
    def join(self) -> bool:
        """Whether the operation takes several inputs."""
        return self.arity < 0

    def weights(self, attrs: Mapping[str, Any], shape: Shape) -> dict[str, Shape]:
        """Return the shape of every weight for an input of `shape`, in the order of Keras."""
        return {}

    def output_shape(self, node: Node, *shapes: Shape) -> Shape:
        """Return the shape of the output for inputs of `shapes`, all without the batch axis.

        Raises
        ------
        ModelError
            When the node does not fit its inputs.
        """
        return shapes[0]

    def forward(self, node: Node, *inputs: np.ndarray) -> np.ndarray:
        """Return the output for float32 inputs with a batch axis.

        A temporal operation gets the frames of its buffer instead, the oldest first.
        """
        return inputs[0]

    def macs(self, node: Node, source: Shape, shape: Shape) -> int:
        """Return the multiply-accumulates of one image for input and output of these shapes."""
        return 0
