"""Let layers compute on maps where a model reshapes them in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.graph.axes import axis_without_batch
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import POINTWISE, RESHAPES
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.sinking import Sinker

CHANNELS_LAST = (*(op for op in POINTWISE if op != "PReLU"), "Dense")
"""Operations that compute every position alike, from its channels."""


def sink_reshapes(graph: Graph) -> Rewrite:
    """Let layers read a map before a Reshape that keeps its channels, and reshape after them.

    Reshapes that undo each other, and those before a Flatten, go. A Dense layer on (steps,
    channels) reads a map of one column.
    """
    columns, wrapped = _dense_on_columns(graph)
    new = Sinker(columns, _start).result()
    gone = [node.name for node in graph.nodes if node.op in RESHAPES and _moves(graph, new, node)]
    return Rewrite(graph=new, changed=(*gone, *wrapped))


@dataclass(frozen=True)
class _Reshape:
    """Another shape of a map, without the channels, which are last before and after."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    part: ClassVar[str] = "reshape"

    def past(self, graph: Graph, node: Node):
        if node.op in RESHAPES:
            after, channels = graph.shapes[node.name], graph.shapes[node.inputs[0]][-1]
            if after == (*self.before, channels):
                return None, None
            return (
                (None, _Reshape(self.before, after[:-1])) if after[-1] == channels else (node, None)
            )
        if not self._keeps_axes(graph, node):
            return None
        return (node.with_attrs(axis=-1) if "axis" in node.attrs else node), self

    def _keeps_axes(self, graph, node):
        if node.op in ("Softmax", "Concatenate"):
            shape = graph.shapes[node.name]
            return axis_without_batch(node, shape) == len(shape) - 1
        return node.op in (*CHANNELS_LAST, "Add")

    def nodes(self, name, source):
        return [make_node(name, "Reshape", [source], {"target_shape": (*self.after, -1)})]


def _start(graph: Graph, node: Node) -> _Reshape | None:
    if node.op != "Reshape":
        return None
    before, after = graph.shapes[node.inputs[0]], graph.shapes[node.name]
    reads_input = graph.node(node.inputs[0]).op in ("Input", "Rescaling")
    if len(before) != 3 or len(after) == 1 or before[-1] != after[-1] or reads_input:
        return None
    return _Reshape(before[:-1], after[:-1])


def _dense_on_columns(graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph whose Dense layers on (steps, channels) have a Reshape on either side."""
    names = []
    for node in graph.nodes:
        shape = graph.shapes[node.inputs[0]] if node.inputs else ()
        if node.op == "Dense" and len(shape) == 2 and shape[0] > 1:
            names.append(node.name)
    for name in names:
        graph = _on_column(graph, graph.node(name))
    return graph, names


def _on_column(graph: Graph, dense: Node) -> Graph:
    steps, channels = graph.shapes[dense.inputs[0]]
    first, last = (graph.part_name(dense.name, part) for part in ("column", "steps"))
    units = dense.attrs["units"]

    def split(node):
        if node.name != dense.name:
            return None
        shapes = (steps, 1, channels), (steps, units)
        before, after = ({"target_shape": shape} for shape in shapes)
        return [
            make_node(first, "Reshape", node.inputs, before),
            node.with_inputs(first),
            make_node(last, "Reshape", [node.name], after),
        ]

    return graph.rewrite(split)


def _moves(old: Graph, new: Graph, node: Node) -> bool:
    """Return whether a reshape is gone, or reads another tensor."""
    return node.name not in new.by_name or new.node(node.name).inputs != node.inputs
