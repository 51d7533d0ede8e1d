"""Make one layer of what ONNX writes as several: biases, averages that are flattened."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.importers.rescalings import merged_rescalings


def merged(graph: Graph, shifts: Mapping[str, np.ndarray]) -> Graph:
    """Return a graph of fewer layers with the same outputs.

    Parameters
    ----------
    graph : Graph
    shifts : mapping of str to float32 array
        Nodes that add a number, or one for each channel, to their input.
    """
    return merged_rescalings(_flat_averages(_with_biases(graph, shifts)))


def _with_biases(graph, shifts):
    """Put a sum with constants into the layer that it follows, where that has no bias."""
    taken = {}
    for name, values in shifts.items():
        layer = graph.producers(name)[0]
        if (
            layer.operation.neural
            and not layer.attrs["use_bias"]
            and graph.sole_consumer(layer) is not None
        ):
            bias = np.broadcast_to(values, graph.shapes[layer.name][-1:])
            taken[layer.name] = layer.with_attrs(use_bias=True).with_weights(bias=bias)

    def change(node):
        if node.name in shifts and node.inputs[0] in taken:
            return []
        return [taken[node.name]] if node.name in taken else None

    return graph.rewrite(change)


def _flat_averages(graph):
    """Let the average of a map give a vector where it is flattened after."""

    def change(node):
        if node.op == "GlobalAveragePooling2D" and _flattened(graph, node):
            return [node.with_attrs(keepdims=False)]
        if node.op == "Flatten" and _flattened(graph, graph.producers(node)[0]):
            return []
        return None

    return graph.rewrite(change)


def _flattened(graph, node):
    consumer = graph.sole_consumer(node)
    return (
        node.op == "GlobalAveragePooling2D"
        and node.attrs["keepdims"]
        and consumer is not None
        and consumer.op == "Flatten"
    )
