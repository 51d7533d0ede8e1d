"""The outputs that training and its teachers compare: those before a final softmax."""

from __future__ import annotations

from pipeline.graph.graph import Graph


def ends_in_softmax(graph: Graph) -> bool:
    """Return True if the model's outputs are those of a softmax."""
    last = graph.node(graph.output)
    return last.op == "Softmax" or last.attrs.get("activation") == "softmax"


def before_softmax(graph: Graph) -> Graph:
    """Return `graph` without the softmax it ends in, if it does."""
    last = graph.node(graph.output)
    if not ends_in_softmax(graph) or graph.consumers(last):
        return graph
    return graph.with_nodes((n for n in graph.nodes if n is not last), last.inputs[0])
