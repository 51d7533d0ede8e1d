"""The connections between nodes of float and integer graphs."""

from __future__ import annotations

from functools import cached_property


class Wiring:
    """Look-ups in ``nodes``, an ordered tuple of objects with ``name`` and ``inputs``.

    The first node is the input; ``output`` is the name of the node that computes the output.
    """

    @cached_property
    def by_name(self) -> dict:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def _consumers(self) -> dict:
        table: dict = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                table[source].append(node)
        return {name: tuple(found) for name, found in table.items()}

    @property
    def input(self):
        """The ``Input`` node; attrs ``shape`` (without batch) and ``dtype``."""
        return self.nodes[0]

    def node(self, name: str):
        """Return the node called `name`."""
        return self.by_name[name]

    def consumers(self, node) -> tuple:
        """Return the consumers of `node`, in topological order, each once."""
        return self._consumers[node if isinstance(node, str) else node.name]

    def sole_consumer(self, node):
        """Return the only consumer of `node`; None when it has several, or is the output."""
        name = node if isinstance(node, str) else node.name
        found = self._consumers[name]
        return found[0] if len(found) == 1 and name != self.output else None
