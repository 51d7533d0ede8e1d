"""Remove reshapes that are followed by another reshape."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.traits import RESHAPES
from pipeline.preparation.editing import pairs, removed


def remove_reshapes(graph: Graph) -> Graph:
    """Keep only the last of successive Reshape and Flatten nodes."""
    return removed(graph, {first.name for first, _ in pairs(graph, RESHAPES, RESHAPES)})
