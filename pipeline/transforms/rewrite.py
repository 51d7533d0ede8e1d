"""What a transform hands back."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.graph.graph import Graph


@dataclass(frozen=True, eq=False, kw_only=True)
class Rewrite:
    """A rewritten graph and what was done to it.

    Attributes
    ----------
    graph : Graph
    changed : tuple of str
        Names of the layers that were rewritten, as they were called before.
    equivalent : bool
        Whether the new graph computes the same as the old one, up to float rounding.
    """

    graph: Graph
    changed: tuple[str, ...]
    equivalent: bool = True
