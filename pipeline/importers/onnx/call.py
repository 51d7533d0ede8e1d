"""One node of an ONNX model that is being read, with its inputs at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.builder import Builder
from pipeline.importers.onnx.constants import Constant
from pipeline.importers.onnx.model import OnnxNode
from pipeline.importers.onnx.tensor import MAP, Tensor

Value = Tensor | Constant


@dataclass(frozen=True, eq=False, kw_only=True)
class Call:
    """A node and what it reads.

    Attributes
    ----------
    node : OnnxNode
    opset : int
    values : tuple of Tensor, Constant or None
        Its inputs; None for those that are left out.
    builder : Builder
    batch : (int, int)
        Numbers of images that shapes were computed for.
    uses : Counter
        How often each tensor of the model is read.
    """

    node: OnnxNode
    opset: int
    values: tuple[Value | None, ...]
    builder: Builder
    batch: tuple[int, int]
    uses: Counter

    @property
    def name(self) -> str:
        """Name of the node."""
        return self.node.name

    def attr(self, key: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.node.attrs.get(key, default)

    def value(self, index: int) -> Value | None:
        """Return an input; None where it is left out."""
        return self.values[index] if index < len(self.values) else None

    def any_tensor(self, index: int = 0) -> Tensor:
        """Return an input that depends on the model's, also one of whole numbers.

        Raises
        ------
        ModelError
            When it is missing, or a constant.
        """
        value = self.value(index)
        if not isinstance(value, Tensor):
            found = "missing" if value is None else "a constant"
            raise ModelError(f"its input {index + 1} is {found}; allowed: a computed tensor")
        return value

    def tensor(self, index: int = 0) -> Tensor:
        """Return an input that is computed in float32.

        Raises
        ------
        ModelError
            When it is missing, a constant, or of whole numbers.
        """
        value = self.any_tensor(index)
        if not value.floats:
            raise ModelError("it computes with whole numbers; allowed: float32, after a Cast")
        return value

    def map(self, index: int = 0) -> Tensor:
        """Return an input that is a map, in the order of maps here."""
        return self.builder.ordered(self.tensor(index), MAP, self.name)

    def constant(self, index: int) -> np.ndarray | None:
        """Return the array of an input; None where it is left out.

        Raises
        ------
        ModelError
            When it is computed from the model's input.
        """
        value = self.value(index)
        if isinstance(value, Tensor):
            raise ModelError(f"its input {index + 1} is computed; allowed: a constant")
        return None if value is None else value.value

    def weights(self, index: int, rank: int | None = None) -> np.ndarray:
        """Return a constant of float32.

        Raises
        ------
        ModelError
            When it is missing, of another type or rank.
        """
        array = self.constant(index)
        if array is None:
            raise ModelError(f"its input {index + 1} is missing; allowed: a constant")
        if array.dtype != np.float32:
            raise ModelError(
                f"its constants are {array.dtype}; allowed: float32; convert the model"
            )
        if rank is not None and array.ndim != rank:
            raise ModelError(
                f"its weights have the shape {array.shape}; allowed: {rank} sizes (images of two"
                " axes)"
            )
        return array

    def per_channel(self, tensor: Tensor, constant: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Return a tensor, and a constant that is broadcast to it: one number, or one per channel.

        Channels are the last axis of the node, to which another axis is moved where the constant
        differs along that.

        Raises
        ------
        ModelError
            When it differs along several axes, or makes the tensor larger.
        """
        axis = tensor.varying_axis(constant)
        if axis is None:
            return tensor, constant.reshape(-1)[0]
        rest = tuple(other for other in tensor.order if other != axis)
        tensor = self.builder.ordered(tensor, (*rest, axis), self.name)
        values = constant.reshape(-1)
        return tensor, values[tensor.rows()] if len(tensor.shape) == 1 else values

    def emit(self, op: str, inputs, attrs=None, weights=None, part: str = "") -> str:
        """Make a node of the graph, named as this one, or as a part of it."""
        name = f"{self.name}_{part}" if part else self.name
        return self.builder.emit(name, op, inputs, attrs, weights)

    def pointwise(self, tensor: Tensor, op: str, attrs=None, weights=None) -> Tensor:
        """Return what a pointwise operation makes of a tensor."""
        return replace(tensor, node=self.emit(op, (tensor.node,), attrs, weights))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How the nodes of one operator are read.

    Attributes
    ----------
    read : function of Call to Tensor
        Raises ModelError, without the node's name, for what has no meaning here.
    attributes : tuple of str
        All that the operator may have.
    keeps_shape : bool
        Whether the output is as large as the first input, so that what follows can be judged
        after a refusal.
    """

    read: Callable[[Call], Tensor]
    attributes: tuple[str, ...] = ()
    keeps_shape: bool = False


Rules = Mapping[str, Rule]
