"""Fresh weights for a graph: Keras' defaults, drawn with numpy so that they never change."""

from __future__ import annotations

import math
import zlib

import numpy as np

from pipeline.graph.graph import Graph

ONES = ("gamma", "moving_variance")


def initialise(graph: Graph, *, seed: int = 0) -> Graph:
    """Return `graph` with every weight that is missing.

    Kernels are Glorot-uniform, ``gamma`` and ``moving_variance`` are 1, the rest is 0. A
    kernel's values depend on `seed` and on its layer's name only, so that adding a layer leaves
    the others as they were. Weights that a node already holds are kept.

    Raises
    ------
    ModelError
        When a layer does not fit its input.
    """
    shapes = graph.shapes
    nodes = []
    for node in graph.nodes:
        source = shapes[node.inputs[0]] if node.inputs else ()
        wanted = node.operation.weights(node.attrs, source)
        fresh = {
            key: _initial(key, shape, seed, f"{node.name}/{key}")
            for key, shape in wanted.items()
            if key not in node.weights
        }
        nodes.append(node.with_weights(**fresh) if fresh else node)
    return graph.with_nodes(nodes)


def _initial(key, shape, seed, label):
    if not key.endswith("kernel"):
        return np.full(shape, 1 if key in ONES else 0, np.float32)
    # Fans as Keras counts them, the last two axes being channels and filters.
    receptive = math.prod(shape[:-2])
    limit = math.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
    rng = np.random.default_rng([seed, zlib.crc32(label.encode())])
    return rng.uniform(-limit, limit, shape).astype(np.float32)
