"""The nodes and constants of an ONNX model that is being written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Permutations of a map's axes to channels first, and back to channels last."""
PLACE = {1: 2, 2: 3, 3: 1}
"""Axis of a map with its channels last to that with its channels first."""


class Sheet:
    """An ONNX model so far; tensors have the names of the graph's nodes.

    Parameters
    ----------
    onnx : module
    graph : Graph
    first : bool
        Whether the model's input has its channels first.
    """

    def __init__(self, onnx, graph: Graph, *, first: bool):
        self.onnx, self.graph, self.first = onnx, graph, first
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.taken = set(graph.by_name)
        self.tensors: dict[str, str] = {}

    def is_map(self, name: str) -> bool:
        """Return whether a node's tensor is a map, which has its channels first here."""
        return len(self.graph.shapes[name]) == 3

    def source(self, node: Node, index: int = 0) -> str:
        """Return the tensor of one of a node's inputs."""
        return self.tensors[node.inputs[index]]

    def sources(self, node: Node) -> list[str]:
        """Return the tensors of all inputs of a node."""
        return [self.tensors[name] for name in node.inputs]

    def name(self, wanted: str) -> str:
        """Return an unused name."""
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name

    def constant(self, node: Node, key: str, values) -> str:
        """Add a constant of a node; return its tensor."""
        name = self.name(f"{node.name}.{key}")
        array = np.ascontiguousarray(values)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def number(self, node: Node, key: str, value: float) -> str:
        """Add a float32 number; return its tensor."""
        return self.constant(node, key, np.float32(value))

    def add(self, node: Node, op: str, inputs: Sequence[str], part: str = "", **attrs) -> str:
        """Add an ONNX node: the last one of `node`, or a part before it; return its tensor."""
        name = self.name(f"{node.name}_{part}") if part else node.name
        self.nodes.append(self.onnx.helper.make_node(op, list(inputs), [name], name, **attrs))
        return name

    def channels_last(self, node: Node, tensor: str, source: str) -> str:
        """Return a tensor whose values are in the order of the graph."""
        height, width, channels = (1, 1, *self.graph.shapes[source])[-3:]
        if not self.is_map(source) or height * width == 1 or channels == 1:
            return tensor
        return self.add(node, "Transpose", [tensor], part="channels_last", perm=LAST)

    def shaped(self, node: Node, tensor: str, shape: Sequence[int]) -> str:
        """Return a tensor in the order of the graph as the value of `node`, of a shape there."""
        if len(shape) != 3:
            return self._reshape(node, tensor, shape, "")
        height, width, channels = shape
        if height * width == 1 or channels == 1:
            return self._reshape(node, tensor, (channels, height, width), "")
        tensor = self._reshape(node, tensor, shape, "rows")
        return self.add(node, "Transpose", [tensor], perm=FIRST)

    def _reshape(self, node, tensor, shape, part):
        target = self.constant(node, "shape", np.array([0, *shape], np.int64))
        return self.add(node, "Reshape", [tensor, target], part=part)

    def along(self, node: Node, values) -> np.ndarray:
        """Return one number, or one per channel, as it is broadcast to a node's first input."""
        array = np.asarray(values, np.float32)
        if array.ndim == 0 or array.size == 1:
            return array.reshape(())
        return array.reshape(-1, 1, 1) if self.is_map(node.inputs[0]) else array
