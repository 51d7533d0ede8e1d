"""Multiply-accumulate operations of a float model, per layer and image."""

from __future__ import annotations

from pipeline.graph.graph import Graph


def count_macs(graph: Graph) -> dict[str, int]:
    """Return the multiply-accumulates of each layer with a kernel, for one image.

    A multiplication with zero padding counts; batch norms, biases and pooling do not.
    """
    return {node.name: macs for node in graph.nodes if (macs := _macs(graph, node))}


def _macs(graph, node):
    source = graph.shapes[node.inputs[0]] if node.inputs else ()
    return node.operation.macs(node, source, graph.shapes[node.name])
