"""The connections between nodes of float and integer graphs."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Generic, TypeVar

N = TypeVar("N")


class Wiring(Generic[N]):
    """Look-ups in ``nodes``, an ordered tuple of objects with ``name`` and ``inputs``.

    The first node is the input; ``output`` is the name of the node that computes the output.
    """

    nodes: tuple[N, ...]
    output: str

    @cached_property
    def by_name(self) -> dict[str, N]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def _consumers(self) -> dict[str, tuple[N, ...]]:
        table: dict[str, list[N]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                table[source].append(node)
        return {name: tuple(nodes) for name, nodes in table.items()}

    @property
    def input(self) -> N:
        """The ``Input`` node; attrs ``shape`` (without batch) and ``dtype``."""
        return self.nodes[0]

    @property
    def ends(self) -> tuple[N, ...]:
        """The nodes that compute the outputs; more than one only where ``Outputs`` joins them."""
        last = self.by_name[self.output]
        return self.producers(last) if last.op == "Outputs" else (last,)

    def node(self, name: str) -> N:
        """Return the node called `name`."""
        return self.by_name[name]

    def producers(self, node: N | str) -> tuple[N, ...]:
        """Return the producers of `node`, in the order of its inputs."""
        node = self.by_name[node] if isinstance(node, str) else node
        return tuple(self.by_name[source] for source in node.inputs)

    def consumers(self, node: N | str) -> tuple[N, ...]:
        """Return the consumers of `node`, in topological order, each once."""
        return self._consumers[node if isinstance(node, str) else node.name]

    def sole_consumer(self, node: N | str) -> N | None:
        """Return the only consumer of `node`; None if it has several, or is the output."""
        name = node if isinstance(node, str) else node.name
        consumers = self._consumers[name]
        return consumers[0] if len(consumers) == 1 and name != self.output else None

    def skip_back(self, node: N | str, ops: Collection[str]) -> N:
        """Return `node`, or the nearest node before it whose operation is not one of `ops`.

        The first input of a node with several inputs is followed.
        """
        node = self.by_name[node] if isinstance(node, str) else node
        while node.op in ops and node.inputs:
            node = self.by_name[node.inputs[0]]
        return node

    def skip_ahead(self, node: N | str, ops: Collection[str]) -> N | None:
        """Return the nearest node after `node` whose operation is not one of `ops`.

        Return None if a node on the way, including `node`, has several consumers or is the output.
        """
        consumer = self.sole_consumer(node)
        while consumer is not None and consumer.op in ops:
            consumer = self.sole_consumer(consumer)
        return consumer
