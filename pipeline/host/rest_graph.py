"""Cut the part of a graph that the host computes after the chip."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph


def ancestors(graph: Graph, names: Sequence[str]) -> set[str]:
    """Return `names`, and the names of all nodes that they depend on."""
    needed = set(names)
    for node in reversed(graph.nodes):
        needed.update(node.inputs if node.name in needed else ())
    return needed


def frontier(graph: Graph, inside: set[str]) -> list[str]:
    """Return the nodes of a part that the rest of a graph reads, or that are its outputs."""
    ends = {node.name for node in graph.ends}
    return [
        node.name
        for node in graph.nodes
        if node.name in inside
        and (
            node.name in ends
            or any(consumer.name not in inside for consumer in graph.consumers(node))
        )
    ]


def also_read(graph: Graph, ends: Sequence[str]) -> list[str]:
    """Return the nodes before `ends` that the rest of the graph reads besides these."""
    return [name for name in frontier(graph, ancestors(graph, ends)) if name not in ends]


def rest_graph(graph: Graph, ends: Sequence[str]) -> Graph:
    """Return the graph that takes the values of some nodes, and computes the outputs.

    Parameters
    ----------
    graph : Graph
    ends : sequence of str
        Everything that the rest needs, see `also_read`.

    Returns
    -------
    Graph
        Its input is float32: the value of the only end, or those of several as one vector, each
        in row-major order, as the layer ``Outputs`` of a program gives them.
    """
    inside = ancestors(graph, ends)
    outside = [node for node in graph.nodes if node.name not in inside]
    if len(ends) == 1:
        attrs = {"shape": graph.shapes[ends[0]], "dtype": "float32"}
        return graph.with_nodes([make_node(ends[0], "Input", (), attrs), *outside])
    sizes = [math.prod(graph.shapes[name]) for name in ends]
    entry = graph.fresh_name("chip_outputs")
    nodes = [make_node(entry, "Input", (), {"shape": (sum(sizes),), "dtype": "float32"})]
    for number, name in enumerate(ends):
        attrs = {"start": sum(sizes[:number]), "shape": graph.shapes[name]}
        nodes.append(make_node(name, "Part", (entry,), attrs))
    return graph.with_nodes([*nodes, *outside])
