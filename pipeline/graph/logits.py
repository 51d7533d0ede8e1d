"""The end of a model: logits, or a softmax or sigmoid that turns them into probabilities."""

from __future__ import annotations

import math

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import KEEPS_VALUES

PROBABILITIES = ("softmax", "sigmoid")


def final_activation(graph: Graph) -> str:
    """Return ``softmax`` or ``sigmoid`` if the outputs are probabilities, else ``linear``."""
    node = graph.node(graph.output)
    while node.op in KEEPS_VALUES or _is_linear(node):
        node = graph.node(node.inputs[0])
    found = _activation(node)
    return found if found in PROBABILITIES else "linear"


def class_threshold(graph: Graph) -> float:
    """Return the threshold of a model's only output for class 1: 0.5 after a sigmoid, else 0."""
    return 0.5 if final_activation(graph) == "sigmoid" else 0.0


def has_one_output(graph: Graph) -> bool:
    """Return True if a model has a single output: two classes, or a regression."""
    return math.prod(graph.shapes[graph.output]) == 1


def before_probabilities(graph: Graph) -> Graph:
    """Return `graph` without its final softmax, or without the sigmoid of its only output.

    Training and distillation compare logits. Several sigmoids are kept: their logits do not score
    one choice.
    """
    last = graph.node(graph.output)
    kind = _activation(last)
    cut = kind == "softmax" or (kind == "sigmoid" and has_one_output(graph))
    if not cut or graph.consumers(last):
        return graph
    return graph.with_nodes((n for n in graph.nodes if n is not last), last.inputs[0])


def _activation(node: Node) -> str | None:
    return "softmax" if node.op == "Softmax" else node.attrs.get("activation")


def _is_linear(node: Node) -> bool:
    return node.op == "Activation" and node.attrs["activation"] == "linear"
