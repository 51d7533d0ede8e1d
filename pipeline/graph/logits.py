"""The part of a model that training and its teachers compare: before a final softmax."""

from __future__ import annotations

from pipeline.graph.graph import Graph


def before_softmax(graph: Graph) -> Graph:
    """Return `graph` without the softmax it ends in, if it does."""
    last = graph.node(graph.output)
    is_softmax = last.op == "Softmax" or last.attrs.get("activation") == "softmax"
    if not is_softmax or graph.consumers(last):
        return graph
    return graph.with_nodes((n for n in graph.nodes if n is not last), last.inputs[0])
