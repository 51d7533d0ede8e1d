"""Move reshapes and permutations of a tensor after the operations that read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node


class Move(Protocol):
    """What happens to a tensor before its consumers read it, and is left for later.

    A move is a frozen dataclass, so that equal ones compare equal.

    Attributes
    ----------
    part : str
        What to call nodes that move a tensor.
    """

    part: str

    def past(self, graph: Graph, node: Node) -> tuple[Node | None, Move | None] | None:
        """Return `node` as it reads the unmoved tensor, and the move of its output, or None.

        All inputs of a join have this move. The node is None where it is a part of the move, and
        the result is None where the node needs the moved tensor.
        """

    def nodes(self, name: str, source: str) -> list[Node]:
        """Return nodes that move the tensor `source`; the last one is called `name`."""


@dataclass(frozen=True)
class _Pending:
    source: str
    move: Move


class Sinker:
    """Walks through a graph once, and keeps moves back until an operation needs them.

    Parameters
    ----------
    graph : Graph
    start : function of (graph, node) to Move or None
        The move that a node is, whose output is its moved input.
    """

    def __init__(self, graph: Graph, start):
        self.graph, self.start = graph, start
        self.nodes: list[Node] = []
        self.pending: dict[str, _Pending] = {}
        self.names: dict[str, str] = {}

    def result(self) -> Graph:
        """Return the rewritten graph; the same one if nothing moves."""
        for node in self.graph.nodes:
            self._add(node)
        output = self._moved(self.graph.output)
        new = self.graph.with_nodes(self.nodes, output)
        return self.graph if _wiring(new) == _wiring(self.graph) else new

    def _add(self, node: Node) -> None:
        waiting = [self.pending.get(name) for name in node.inputs]
        if waiting and None not in waiting and len({one.move for one in waiting}) == 1:
            found = waiting[0].move.past(self.graph, node)
            if found is not None:
                return self._put(node, found, [one.source for one in waiting])
        move = self.start(self.graph, node)
        if move is not None:
            return self._put(node, (None, move), [self._moved(node.inputs[0])])
        self.nodes.append(node.with_inputs(*map(self._moved, node.inputs)))
        return None

    def _put(self, node, found, sources):
        """Add a node that reads unmoved tensors, and remember the move of its output."""
        new, move = found
        last = sources[0]
        if new is not None:
            last = new.name
            self.nodes.append(new.with_inputs(*sources))
        if move is not None:
            self.pending[node.name] = _Pending(last, move)
        else:
            self.names[node.name] = last

    def _moved(self, name: str) -> str:
        """Return the name of the tensor `name` where it is computed, which it is from here on."""
        one = self.pending.get(name)
        if one is not None and name not in self.names:
            taken = {node.name for node in self.nodes}
            new = self.graph.part_name(name, one.move.part) if name in taken else name
            self.nodes += one.move.nodes(new, one.source)
            self.names[name] = new
        return self.names.get(name, name)


def _wiring(graph: Graph):
    return graph.output, [(node.name, node.op, node.inputs) for node in graph.nodes]
