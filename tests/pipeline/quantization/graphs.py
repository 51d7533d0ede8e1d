"""Small graphs with random weights, for the tests of this folder."""

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS

LOWEST = {"moving_variance": 0.3, "gamma": 0.3}


def chain(*layers, shape=(6, 6, 3), dtype="uint8", seed=0):
    """Return a graph of ``(op, attrs)`` or ``(op, attrs, inputs)``; names are ``op_number``."""
    rng = np.random.default_rng(seed)
    graph = Graph(
        "net", (make_node("input", "Input", (), {"shape": shape, "dtype": dtype}),), "input"
    )
    for number, (op, attrs, *inputs) in enumerate(layers, 1):
        inputs = inputs[0] if inputs else (graph.output,)
        name = f"{op.lower()}_{number}"
        bare = make_node(name, op, inputs, attrs)
        shapes = OPERATIONS[op].weights(bare.attrs, graph.shapes[inputs[0]])
        weights = {
            key: rng.uniform(LOWEST.get(key, -1), 1, size).astype(np.float32)
            for key, size in shapes.items()
        }
        node = make_node(name, op, inputs, attrs, weights)
        graph = graph.with_nodes((*graph.nodes, node), name)
    return graph


def conv(filters, kernel=3, **attrs):
    """Return a "same" convolution for `chain`."""
    return ("Conv2D", {"filters": filters, "kernel_size": kernel, "padding": "same", **attrs})


RELU = ("ReLU", {"max_value": 6.0})
