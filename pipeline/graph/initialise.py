"""Initialise a graph's weights by Keras' defaults, drawn reproducibly with NumPy."""

from __future__ import annotations

import math
import zlib

import numpy as np

from pipeline.graph.graph import Graph


def initialise(graph: Graph, *, seed: int = 0) -> Graph:
    """Return `graph` with its missing weights initialised.

    Kernels are Glorot-uniform, scales of batch norms are 1, all other weights are 0. A kernel's
    values depend only on `seed` and its layer's name, so that adding a layer does not change the
    others. Existing weights are kept.

    Raises
    ------
    ModelError
        If a layer does not fit its input.
    """
    shapes = graph.shapes
    nodes = []
    for node in graph.nodes:
        source = shapes[node.inputs[0]] if node.inputs else ()
        wanted = node.operation.weights(node.attrs, source)
        fresh = {
            key: _initial(node, key, shape, seed)
            for key, shape in wanted.items()
            if key not in node.weights
        }
        nodes.append(node.with_weights(**fresh) if fresh else node)
    return graph.with_nodes(nodes)


def _initial(node, key, shape, seed):
    if key not in node.operation.kernels:
        return np.full(shape, 1 if key in node.operation.ones else 0, np.float32)
    # Keras' fan-in and fan-out: the last two axes are channels and filters.
    receptive = math.prod(shape[:-2])
    limit = math.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
    rng = np.random.default_rng([seed, zlib.crc32(f"{node.name}/{key}".encode())])
    return rng.uniform(-limit, limit, shape).astype(np.float32)
