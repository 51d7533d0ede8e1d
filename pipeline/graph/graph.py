"""A model as an immutable graph of nodes in topological order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.errors import LayerError, ModelError
from pipeline.graph.node import Node
from pipeline.graph.wiring import Wiring
from pipeline.messages.notes import Note


@dataclass(frozen=True, eq=False)
class Graph(Wiring[Node]):
    """A float model.

    Attributes
    ----------
    name : str
        Name of the model.
    nodes : tuple of Node
        Topological order; exactly one node has ``op == "Input"``, and it comes first.
    output : str
        Name of the node that computes the model's output.
    notes : tuple of Note
        Notes on how the model was read.

    Raises
    ------
    ModelError
        If names repeat, an input is unknown or not yet computed, or there is not exactly one
        ``Input`` node.
    """

    name: str
    nodes: tuple[Node, ...]
    output: str
    notes: tuple[Note, ...] = ()

    def __post_init__(self):
        """Check names, order and the single input."""
        object.__setattr__(self, "nodes", tuple(self.nodes))
        seen: set[str] = set()
        for node in self.nodes:
            if node.name in seen:
                raise ModelError(f"{self.name}: two layers are named '{node.name}'; rename one")
            for source in node.inputs:
                if source not in seen:
                    raise LayerError(
                        node.name,
                        f"its input '{source}' is not the name of an earlier layer; "
                        f"known so far: {', '.join(sorted(seen)) or 'none'}",
                    )
            seen.add(node.name)
        inputs = [node.name for node in self.nodes if node.op == "Input"]
        if len(inputs) != 1 or self.nodes[0].op != "Input":
            raise ModelError(
                f"{self.name}: found {len(inputs)} inputs ({', '.join(inputs) or 'none'}); a model"
                " needs exactly one, before every other layer"
            )
        if self.output not in seen:
            raise ModelError(f"{self.name}: its output '{self.output}' is not one of its layers")

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Output shape of every node, without the batch dimension."""
        from pipeline.graph.shapes import infer_shapes

        return infer_shapes(self)

    @property
    def parameters(self) -> int:
        """Number of weight values, trainable or not."""
        return sum(node.parameters for node in self.nodes)

    def downstream(self, names: Iterable[str]) -> set[str]:
        """Return `names`, and the names of all nodes that depend on them."""
        reached = set(names)
        for node in self.nodes:
            if reached.intersection(node.inputs):
                reached.add(node.name)
        return reached

    def fresh_name(self, wanted: str) -> str:
        """Return `wanted`, or `wanted` with the first free number appended."""
        name, number = wanted, 1
        while name in self.by_name:
            name, number = f"{wanted}_{number}", number + 1
        return name

    def part_name(self, name: str, part: str) -> str:
        """Return an unused name for a layer that is added to another one.

        Names are joined by ``/`` where the model's own names contain it, else by ``_``: Keras 3
        does not read names with ``/``.
        """
        joint = "/" if any("/" in node.name for node in self.nodes) else "_"
        return self.fresh_name(f"{name}{joint}{part}")

    def ended(self, names: Iterable[str]) -> Graph:
        """Return the graph up to some nodes, whose outputs become the model's.

        Several outputs are joined by a node ``Outputs``.
        """
        from pipeline.graph.build import make_node

        ends = tuple(dict.fromkeys(names))
        needed = {self.input.name, *ends}
        for node in reversed(self.nodes):
            needed.update(node.inputs if node.name in needed else ())
        nodes = [node for node in self.nodes if node.name in needed]
        if len(ends) == 1:
            return self.with_nodes(nodes, ends[0])
        last = make_node(self.fresh_name("outputs"), "Outputs", ends)
        return self.with_nodes([*nodes, last], last.name)

    def with_nodes(self, nodes: Iterable[Node], output: str | None = None) -> Graph:
        """Return a graph of the same name made of `nodes`."""
        return replace(self, nodes=tuple(nodes), output=output or self.output)

    def rewrite(self, split: Callable[[Node], Iterable[Node] | None]) -> Graph:
        """Replace nodes one by one by short chains.

        Parameters
        ----------
        split : function of Node to nodes or None
            None keeps the node. Otherwise a chain of nodes takes its place: its *last* node
            takes over the consumers of the replaced one; an empty chain removes the node and
            feeds its consumers from its first input. A node of the same name keeps the
            replaced one's `Node.split_from`.

        Returns
        -------
        Graph
            A new graph; this one is unchanged.
        """
        renamed: dict[str, str] = {}
        nodes: list[Node] = []

        def follow(name: str) -> str:
            while name in renamed:
                name = renamed[name]
            return name

        for node in self.nodes:
            chain = split(node)
            if chain is None:
                nodes.append(node.with_inputs(*map(follow, node.inputs)))
                continue
            chain = [_with_history(new, node) for new in chain]
            nodes.extend(new.with_inputs(*map(follow, new.inputs)) for new in chain)
            last = chain[-1].name if chain else node.inputs[0]
            if last != node.name:
                renamed[node.name] = last
        return self.with_nodes(nodes, follow(self.output))


def _with_history(new, old):
    if new.name != old.name or new.split_from is not None:
        return new
    return replace(new, split_from=old.split_from)
