"""Find tensors whose values are never negative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import MOVES_ONLY

_PASSING = (*MOVES_ONLY, "AveragePooling2D", "GlobalAveragePooling2D", "Add")
"""Operations whose output is non-negative if every input is."""
_ALWAYS: dict[str, Callable[[Node], bool]] = {
    "Input": lambda node: str(node.attrs["dtype"]).startswith("u"),
    "ReLU": lambda node: not node.attrs["negative_slope"] and node.attrs["threshold"] >= 0,
    "QuantizedReLU": lambda node: True,
    "Softmax": lambda node: True,
    "Activation": lambda node: node.attrs["activation"] in ("relu", "relu6", "sigmoid", "softmax"),
}


def is_nonnegative(graph: Graph, name: str) -> bool:
    """Return True if the output of the layer `name` is at least 0 for every input.

    Only the structure is examined, so False means "not known".
    """
    pending = [name]
    while pending:
        node = graph.node(pending.pop())
        if node.op in _ALWAYS:
            if not _ALWAYS[node.op](node):
                return False
        elif node.op in _PASSING or (node.op == "Rescaling" and _grows(node)) or _only_adds(node):
            pending += node.inputs
        else:
            return False
    return True


def _only_adds(node):
    """Return whether a layer has no negative weight, as an identity has none."""
    padding = node.attrs.get("padding_value")
    signs = [np.min(weight, initial=0) >= 0 for weight in node.weights.values()]
    return node.operation.neural and all(signs) and (padding is None or np.min(padding) >= 0)


def _grows(rescaling):
    return all(np.min(rescaling.attrs[key]) >= 0 for key in ("scale", "offset"))
