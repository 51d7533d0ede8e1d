"""Recalibrate batch norms whose inputs differ from those in training."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph


def measure_batchnorms(graph: Graph, names: Iterable[str], images: np.ndarray) -> Graph:
    """Return `graph` with the statistics of some batch norms measured on `images`.

    Parameters
    ----------
    graph : Graph
    names : names of BatchNormalization nodes, in the graph's order
        Measured one after the other, because each changes the inputs of the next.
    images : array of shape (n, height, width, channels)
        Unlabelled. Mean and variance are taken over images and pixels.
    """
    for name in names:
        mean, variance = _moments(graph, graph.node(name).inputs[0], images)
        node = graph.node(name).with_weights(moving_mean=mean, moving_variance=variance)
        graph = graph.with_nodes(node if old.name == name else old for old in graph.nodes)
    return graph


def _moments(graph, name, images):
    """Return float32 mean and variance of each channel of a node's output."""
    count, total, squares = 0, 0.0, 0.0

    def probe(node, values):
        nonlocal count, total, squares
        if node == name:
            values = values.reshape(-1, values.shape[-1]).astype(np.float64)
            count += len(values)
            total = total + values.sum(0)
            squares = squares + np.square(values).sum(0)

    forward(graph, images, probe=probe)
    mean = total / count
    variance = np.maximum(squares / count - np.square(mean), 0)
    return mean.astype(np.float32), variance.astype(np.float32)
