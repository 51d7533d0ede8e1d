"""Graph edits that several passes share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node


def pairs(graph: Graph, first: tuple[str, ...], second: tuple[str, ...]) -> Iterator[tuple]:
    """Yield (node, consumer) pairs: a `first` operation and its only consumer, a `second` one."""
    for node in graph.nodes:
        if node.op in first:
            consumer = graph.sole_consumer(node)
            if consumer is not None and consumer.op in second:
                yield node, consumer


def replaced(graph: Graph, nodes: Mapping[str, Node]) -> Graph:
    """Return `graph` with some nodes replaced by others of the same name."""
    return graph.with_nodes(nodes.get(node.name, node) for node in graph.nodes) if nodes else graph


def removed(graph: Graph, names: set[str]) -> Graph:
    """Return `graph` without the named nodes; their consumers read their inputs."""
    return graph.rewrite(lambda node: [] if node.name in names else None) if names else graph


def swapped(graph: Graph, first: Node, second: Node) -> Graph:
    """Return `graph` with two successive nodes in reverse order.

    `second` must be the only consumer of `first`. Both keep their names; consumers of `second`
    (and the model's output) move to `first`.
    """
    source = first.inputs[0]
    pair = [second.with_inputs(source), first.with_inputs(second.name)]
    nodes = []
    for node in graph.nodes:
        if node.name == first.name:
            nodes.extend(pair)
        elif node.name != second.name:
            nodes.append(_reading(node, second.name, first.name))
    return graph.with_nodes(nodes, first.name if graph.output == second.name else graph.output)


def inserted(graph: Graph, source: str, new: Node, consumers: set[str] | None = None) -> Graph:
    """Return `graph` with `new`, whose input is `source`, between `source` and its consumers.

    Parameters
    ----------
    graph : Graph
    source : str
        Node after which `new` is inserted.
    new : Node
    consumers : set of str, optional
        The consumers that read `new`; by default all of them, and the model's output.
    """
    nodes = []
    for node in graph.nodes:
        moves = consumers is None or node.name in consumers
        nodes.append(_reading(node, source, new.name) if moves else node)
        if node.name == source:
            nodes.append(new)
    moves = consumers is None and graph.output == source
    return graph.with_nodes(nodes, new.name if moves else graph.output)


def _reading(node, old, new):
    return node.with_inputs(*(new if name == old else name for name in node.inputs))
