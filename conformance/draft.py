"""Builder of a random float graph: random choices, and layers appended one by one."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph


class Draft:
    """Builder of a random graph.

    Parameters
    ----------
    seed, index : int
        Determine all random choices.

    Attributes
    ----------
    rng : numpy Generator
    traits : set of str
        Description of the choices.
    graph : Graph
        Without weights; the last layer added is its output.
    """

    def __init__(self, seed: int, index: int):
        self.rng = np.random.default_rng([seed, index])
        self.traits: set[str] = set()
        self.name = f"network_{index}"
        self.graph: Graph | None = None
        self._count = 0

    def pick(self, options):
        """Return one of `options`."""
        return options[int(self.rng.integers(len(options)))]

    def between(self, low: int, high: int) -> int:
        """Return a random integer from `low` to ``high - 1``."""
        return int(self.rng.integers(low, high))

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return bool(self.rng.random() < probability)

    def note(self, *traits: str) -> None:
        """Add traits."""
        self.traits.update(traits)

    def start(self, shape, dtype: str) -> str:
        """Add the input and return its name."""
        node = make_node("input", "Input", (), {"shape": tuple(shape), "dtype": dtype})
        self.graph = Graph(self.name, (node,), "input")
        return "input"

    def add(self, op: str, *inputs: str, **attrs) -> str:
        """Append a layer and return its name."""
        self._count += 1
        node = make_node(f"{op.lower()}_{self._count}", op, inputs, attrs)
        self.graph = self.graph.with_nodes((*self.graph.nodes, node), node.name)
        return node.name

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a layer's output, without the batch."""
        return self.graph.shapes[name]
