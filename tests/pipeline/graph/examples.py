"""One small valid node of every operation."""

from pipeline.graph.attributes import REQUIRED
from pipeline.graph.build import make_node
from pipeline.graph.operations import OPERATIONS

ATTRIBUTES = {
    **{"filters": 4, "units": 4, "kernel_size": 3, "fifo_size": 2, "size": 2},
    **{"activation": "tanh", "shape": (2, 2, 1), "target_shape": (-1,), "dims": (2, 3, 1)},
    **{"scale": 0.5, "bits": 4, "cropping": ((1, 0), (0, 1)), "start": 3},
}
"""Values of the attributes that have no default."""


def required(op):
    """Return a value for each attribute that `op` needs."""
    attributes = OPERATIONS[op].attributes.items()
    return {key: ATTRIBUTES[key] for key, value in attributes if value.default is REQUIRED}


def node(op, **attrs):
    inputs = [f"i{number}" for number in range({-1: 2}.get(OPERATIONS[op].arity, 1))]
    return make_node("n", op, inputs if op != "Input" else (), {**required(op), **attrs})
