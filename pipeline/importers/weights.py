"""Whether the weights in a model file are those that its layers need."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from simulator.refusal import Refusal

MISSING = "its weights are missing or damaged; save the whole model, or copy the file, again"
"""Why a layer is refused if the file has no weights for it."""
MOST_VALUES = 1 << 28
"""Largest number of values of one layer's output for one image."""


def check_node(node: Node, inputs: Sequence[tuple[int, ...]]) -> list[str]:
    """Return what is wrong with the weights of a node whose inputs have these shapes."""
    if not node.inputs:
        return []
    wanted = node.operation.weights(node.attrs, inputs[0])
    kept = {name: array.shape for name, array in node.weights.items()}
    return [
        f"{node.op} has {name} {kept.get(name, 'missing')}, expected {wanted.get(name, 'none')}"
        for name in sorted(set(wanted) | set(kept))
        if wanted.get(name) != kept.get(name)
    ]


def check_weights(graph: Graph, label: str) -> None:
    """Raise if weights are missing, unknown, or not of the layer's shape.

    Raises
    ------
    IncompatibleModelError
        Listing every such weight.
    """
    shapes, refusals = graph.shapes, []
    for node in graph.nodes:
        if math.prod(shapes[node.name]) > MOST_VALUES:
            found = f"its output of shape {shapes[node.name]} is too large for any memory"
            allowed = f"{MOST_VALUES} values"
            refusals.append(Refusal(layers=(node.name,), found=found, allowed=allowed))
        for text in check_node(node, [shapes[source] for source in node.inputs]):
            refusals.append(Refusal(layers=(node.name,), found=text, rule="weights"))
    if refusals:
        raise IncompatibleModelError(label, refusals, "read the weights")
