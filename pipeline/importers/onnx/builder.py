"""Make the nodes of a graph one after the other, knowing their shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.node import Node
from pipeline.importers.onnx.tensor import MAP, Tensor
from pipeline.importers.weights import MOST_VALUES, check_node


class Builder:
    """The nodes made so far.

    Attributes
    ----------
    nodes : dict of str to Node
        By name, in order.
    shapes : dict of str to tuple of int
        Of their outputs.
    shifts : dict of str to float32 array
        Nodes that only add a number, or one for each channel.
    """

    def __init__(self):
        self.nodes: dict[str, Node] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.shifts: dict[str, np.ndarray] = {}

    def node(self, name: str) -> Node:
        """Return the node called `name`."""
        return self.nodes[name]

    def free(self, name: str) -> str:
        """Return a name that no node has."""
        unique, number = name, 1
        while unique in self.nodes:
            unique, number = f"{name}_{number}", number + 1
        return unique

    def add(self, node: Node) -> str:
        """Keep a node, under a free name; return that.

        Raises
        ------
        ModelError
            When it does not fit its inputs, or its weights do not fit it.
        """
        node = replace(node, name=self.free(node.name))
        shapes = [self.shapes[source] for source in node.inputs]
        if node.operation.on_maps and len(shapes[0]) != 3:
            raise ModelError(
                f"its input has the sizes {shapes[0]}; allowed: a map of (channels, height, width)"
            )
        shape = node.operation.output_shape(node, *shapes)
        if math.prod(shape) > MOST_VALUES or not math.prod(shape):
            raise ModelError(f"its output has the sizes {shape}; allowed: {MOST_VALUES} values")
        for problem in check_node(node, shapes):
            raise ModelError(problem)
        self.nodes[node.name], self.shapes[node.name] = node, shape
        return node.name

    def emit(self, name: str, op: str, inputs: Sequence[str], attrs=None, weights=None) -> str:
        """Make a node and keep it; return its name."""
        return self.add(make_node(name, op, inputs, attrs, weights))

    def tensor(self, node: str, order: Sequence[int] = MAP) -> Tensor:
        """Return the tensor of ONNX that a node has, whose axes it has in `order`."""
        own, order = self.shapes[node], tuple(order)
        shape = tuple(own[order.index(axis)] for axis in range(1, len(own) + 1))
        return Tensor(node=node, shape=shape, order=order)

    def ordered(self, tensor: Tensor, order: Sequence[int], name: str) -> Tensor:
        """Return a tensor whose node has ONNX' axes in another order."""
        order = tuple(order)
        if tensor.order == order:
            return tensor
        if len(order) != len(tensor.shape):
            raise ModelError(
                f"its input has the sizes {tensor.shape}; allowed: {len(order)} sizes after the"
                " batch"
            )
        target = tuple(tensor.shape[axis - 1] for axis in order)
        moved = [axis for axis in tensor.order if tensor.shape[axis - 1] > 1]
        if moved == [axis for axis in order if tensor.shape[axis - 1] > 1]:
            node = self._reshaped(tensor.node, target, name)
        else:
            dims = tuple(tensor.order.index(axis) + 1 for axis in order)
            node = self.emit(f"{name}_layout", "Permute", (tensor.node,), {"dims": dims})
        return replace(tensor, node=node, order=order)

    def straight(self, tensor: Tensor, name: str) -> Tensor:
        """Return a tensor whose node has the values in ONNX' order."""
        if tensor.packed is not None:
            floats = tensor.floats
            node = self._reshaped(tensor.node, tensor.packed.own_shape, name)
            tensor = replace(tensor.packed, node=node)
            tensor = self.straight(tensor, name)
            flat = self.emit(f"{name}_flat", "Flatten", (tensor.node,))
            return replace(self.tensor(flat, (1,)), floats=floats)
        return self.ordered(tensor, range(1, len(tensor.shape) + 1), name)

    def reshaped(self, tensor: Tensor, target: Sequence[int], name: str) -> Tensor:
        """Return a tensor of other sizes for one image, as a Reshape of ONNX gives it."""
        target = tuple(target)
        if target == tensor.shape:
            return tensor
        if tensor.packed is None and _without_ones(tensor.shape) == _without_ones(target):
            return self._squeezed(tensor, target, name)
        if len(target) == 1 and tensor.packed is None and not tensor.straight:
            node = self._reshaped(tensor.node, target, name)
            return replace(self.tensor(node, (1,)), packed=tensor, floats=tensor.floats)
        tensor = self.straight(tensor, name)
        node = self._reshaped(tensor.node, target, name)
        made = self.tensor(node, range(1, len(target) + 1))
        return replace(made, floats=tensor.floats)

    def _squeezed(self, tensor, target, name):
        """Return a tensor with other axes of size 1; the others keep their order here."""
        kept = iter([axis for axis, size in enumerate(target, 1) if size > 1])
        place = {axis: next(kept) for axis, size in enumerate(tensor.shape, 1) if size > 1}
        ones = [axis for axis, size in enumerate(target, 1) if size == 1]
        order = (*ones, *(place[axis] for axis in tensor.order if axis in place))
        own = tuple(target[axis - 1] for axis in order)
        made = self.tensor(self._reshaped(tensor.node, own, name), order)
        return replace(made, floats=tensor.floats)

    def _reshaped(self, node, shape, name):
        if self.shapes[node] == tuple(shape):
            return node
        if len(shape) == 1:
            return self.emit(name, "Flatten", (node,))
        return self.emit(name, "Reshape", (node,), {"target_shape": tuple(shape)})


def _without_ones(shape):
    return [size for size in shape if size > 1]
