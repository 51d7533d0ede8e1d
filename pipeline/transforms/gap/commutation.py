"""Measure how far pooling and activation are from commuting, per channel.

``pool(act(x))`` and ``act(pool(x))`` are equal if the activation is linear over the values of a
map. The error is the share of a layer's signal that moving the pooling changes, before any
compensation.
"""

from __future__ import annotations

import numpy as np

from pipeline.graph.forward import forward, run_node
from pipeline.graph.graph import Graph
from pipeline.transforms.gap.runs import find_runs, moved_members, obstacles


def commutation_errors(graph: Graph, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return the error of every pooling before an activation.

    Parameters
    ----------
    graph : Graph
        With the pooling *before* the activation.
    images : array of shape (n, height, width, channels)

    Returns
    -------
    dict of str to float64 array of shape (channels,)
        By name of the pooling: root mean square over images of ``pool(act(bn(x))) -
        act(bn(pool(x)))``, divided by the root mean square of the latter over all channels.
        Poolings that cannot be moved are omitted.
    """
    runs = [run for run in find_runs(graph) if not any(obstacles(graph, run))]
    if not runs:
        return {}
    all_sums = [_ErrorSums(graph, run) for run in runs]

    def probe(name, values):
        for sums in all_sums:
            sums.add(name, values)

    forward(graph, images, probe=probe)
    return {sums.pooling: sums.errors() for sums in all_sums}


class _ErrorSums:
    """Sums of squares for one pooling, accumulated batch by batch."""

    def __init__(self, graph, run):
        self.pooling, self.activation = run.pooling, run.activation
        self.source = graph.node(run.pooling).inputs[0]
        self.members = moved_members(graph, run)
        channels = graph.shapes[run.pooling][-1]
        self.difference, self.signal = np.zeros(channels), np.zeros(channels)
        self.moved = None

    def add(self, name, values):
        if name == self.source:
            for node in self.members:
                values = run_node(node, values)
            self.moved = values.mean((1, 2), dtype=np.float64)
        elif name == self.activation:
            kept = values.reshape(self.moved.shape).astype(np.float64)
            self.difference += np.square(self.moved - kept).sum(0)
            self.signal += np.square(kept).sum(0)

    def errors(self):
        signal = self.signal.mean()
        return np.sqrt(self.difference / signal) if signal else np.zeros_like(self.difference)
