"""Compute the outputs of some layers for all images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph


def outputs(graph: Graph, names: Sequence[str], images: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of the nodes `names`, float32 (n, ...), in this order.

    Parameters
    ----------
    graph : Graph
    names : sequence of str
    images : array of shape (n, *input shape)
    """
    parts = {name: [] for name in names}

    def probe(node, values):
        if node in parts:
            parts[node].append(values)

    forward(graph, images, probe=probe)
    return [np.concatenate(parts[name]) for name in names]
