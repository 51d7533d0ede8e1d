"""Small graphs with random weights."""

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS

RNG = np.random.default_rng(0)


def chain(shape, *layers, dtype="float32", seed=0):
    """Return a graph of one chain; layers are (op, attrs), weights are random."""
    rng = np.random.default_rng(seed)
    nodes = [make_node("input", "Input", attrs={"shape": shape, "dtype": dtype})]
    for number, (op, attrs) in enumerate(layers):
        before = Graph("m", nodes, nodes[-1].name)
        node = make_node(f"n{number}", op, [nodes[-1].name], attrs)
        shapes = OPERATIONS[op].weights(node.attrs, before.shapes[before.output])
        weights = {key: rng.normal(size=s).astype(np.float32) for key, s in shapes.items()}
        if "moving_variance" in weights:
            weights["moving_variance"] = np.abs(weights["moving_variance"]) + np.float32(0.1)
        nodes.append(node.with_weights(**weights))
    return Graph("m", nodes, nodes[-1].name)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)
