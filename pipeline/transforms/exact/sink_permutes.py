"""Swap the axes of kernels instead of those of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.graph.axes import axis_without_batch
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import ACTIVATIONS, CONVOLUTIONS, TRANSPOSED
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.sinking import Sinker

ELEMENTWISE = (*(op for op in ACTIVATIONS if op != "PReLU"), "Dropout")
WINDOWS = (*CONVOLUTIONS, *TRANSPOSED, "MaxPooling2D", "AveragePooling2D", "UpSampling2D")
PAIRS = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")
GLOBAL = ("GlobalAveragePooling2D", "GlobalMaxPooling2D")
SWAP, STAY = (2, 1, 3), (1, 2, 3)


def sink_permutes(graph: Graph) -> Rewrite:
    """Let layers read a map before a Permute of its axes, with the axes of their kernels swapped.

    The Permute moves on to the end, or goes: before a global pooling, and before the Dense layer
    that flattens the map, whose weights are reordered.
    """
    new = Sinker(graph, _start).result()
    gone = [
        node.name
        for node in graph.nodes
        if node.op == "Permute"
        and (node.name not in new.by_name or new.node(node.name).inputs != node.inputs)
    ]
    # Only for the better: each Permute that is left over would be refused all the same.
    if _count(new) >= _count(graph):
        return Rewrite(graph=graph, changed=())
    return Rewrite(graph=new, changed=tuple(gone))


def _count(graph: Graph) -> int:
    return sum(node.op == "Permute" for node in graph.nodes)


@dataclass(frozen=True)
class _Permute:
    """Another order of the axes of a map: axis i is axis ``dims[i]`` of the source, from 1."""

    dims: tuple[int, int, int]
    part: ClassVar[str] = "permute"

    def past(self, graph: Graph, node: Node):
        if node.op == "Permute":
            dims = tuple(self.dims[axis - 1] for axis in node.attrs["dims"])
            return None, (None if dims == STAY else _Permute(dims))
        if node.op == "Flatten":
            shape = graph.shapes[node.inputs[0]]
            return node, _Flat(self.dims, tuple(shape))
        if node.op in GLOBAL and self.dims == SWAP:
            return node, None
        new = self._read(graph, node)
        return None if new is None else (new, self)

    def _read(self, graph: Graph, node: Node) -> Node | None:
        """Return a node that computes the unmoved output from the unmoved input."""
        channels_last = self.dims[2] == 3
        if node.op in (*ELEMENTWISE, "Add"):
            return node
        if node.op == "Concatenate":
            axis = axis_without_batch(node, graph.shapes[node.name])
            return node.with_attrs(axis=self.dims[axis])
        if node.op == "BatchNormalization":
            return node.with_attrs(axis=-1) if channels_last else None
        if node.op == "Rescaling":
            plain = all(np.size(node.attrs[key]) == 1 for key in ("scale", "offset"))
            return node if plain or channels_last else None
        if node.op == "Dense":
            return node if channels_last else None
        if self.dims != SWAP:
            return None
        if node.op == "ZeroPadding2D":
            return node.with_attrs(padding=tuple(reversed(node.attrs["padding"])))
        return _swapped(node) if node.op in WINDOWS else None

    def nodes(self, name, source):
        return [make_node(name, "Permute", [source], {"dims": self.dims})]


@dataclass(frozen=True)
class _Flat:
    """The values of a map in the order that they have after a Permute.

    Attributes
    ----------
    dims : tuple of int
        Of the Permute.
    shape : tuple of int
        Of the permuted map.
    """

    dims: tuple[int, int, int]
    shape: tuple[int, ...]
    part: ClassVar[str] = "flat"

    def past(self, graph: Graph, node: Node):
        if node.op in (*ELEMENTWISE, "Add"):
            return node, self
        order = self._order()
        if node.op == "Dense":
            kernel = np.empty_like(node.weights["kernel"])
            kernel[order] = node.weights["kernel"]
            return node.with_weights(kernel=kernel), None
        if node.op == "BatchNormalization":
            weights = {key: np.empty_like(value) for key, value in node.weights.items()}
            for key, value in node.weights.items():
                weights[key][order] = value
            return node.with_weights(**weights), self
        return None

    def _order(self) -> np.ndarray:
        """Return, for each value of the flattened permuted map, its place in the source."""
        source = np.arange(int(np.prod(self.shape))).reshape(self._source())
        return source.transpose(*(axis - 1 for axis in self.dims)).ravel()

    def _source(self) -> tuple[int, ...]:
        sizes = dict(zip(self.dims, self.shape, strict=True))
        return tuple(sizes[axis] for axis in (1, 2, 3))

    def nodes(self, name, source):
        return [
            make_node(f"{name}_map", "Reshape", [source], {"target_shape": self._source()}),
            make_node(f"{name}_permute", "Permute", [f"{name}_map"], {"dims": self.dims}),
            make_node(name, "Flatten", [f"{name}_permute"]),
        ]


def _start(graph: Graph, node: Node) -> _Permute | None:
    if node.op != "Permute" or len(graph.shapes[node.name]) != 3 or node.attrs["dims"] == STAY:
        return None
    return _Permute(tuple(node.attrs["dims"]))


def _swapped(node: Node) -> Node:
    """Return a windowed operation with rows and columns swapped."""
    attrs = {key: tuple(reversed(node.attrs[key])) for key in PAIRS if node.attrs.get(key)}
    weights = {
        key: np.ascontiguousarray(value.swapaxes(0, 1)) if value.ndim == 4 else value
        for key, value in node.weights.items()
    }
    return node.with_attrs(**attrs).with_weights(**weights)
