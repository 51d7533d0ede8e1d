"""What follows a layer, in the order in which Akida 2.0 computes it, before norms are folded."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import JOINS, NEURAL
from pipeline.preparation.activations import leaky_to_table, split_activations
from pipeline.preparation.head import cut_head
from pipeline.preparation.support import TABLES
from simulator.akida_v2.tails import TAILS

POOL, RELU, TABLE, MEAN = "MaxPooling2D", "ReLU", "Activation", "GlobalAveragePooling2D"
FOLDED = ("BatchNormalization", "Dropout")
"""What lies between a layer and its tail and becomes no layer; batch norms fold by themselves, or
are layers already."""
KINDS = {"Dense": "Dense1D", "SeparableConv2D": "Conv2D", **dict.fromkeys(JOINS, "Conv2D")}
"""Layers whose tail is another's: after a join on maps, quantization puts an identity Conv2D."""


def inner_operations(graph: Graph) -> dict[str, str]:
    """Return operations by name, as quantization sees them, of what the chip is to compute."""
    inner = leaky_to_table(split_activations(cut_head(graph)[0]))
    return {node.name: node.op for node in inner.nodes if _is_known(node)}


def _is_known(node):
    return node.op != TABLE or node.attrs["activation"] in TABLES


def tail_before(graph: Graph, ops: dict[str, str], node: Node) -> tuple[Node, list[str]] | None:
    """Return the layer whose tail `node` is in, and the tail's operations up to it, in order.

    None where a tensor on the way has other consumers, or there is no layer.
    """
    found = [ops[node.name]]
    while True:
        before = graph.node(node.inputs[0]) if node.inputs else None
        if before is None or graph.sole_consumer(before) is None:
            return None
        op = ops.get(before.name, before.op)
        if op in NEURAL or op in JOINS:
            return before, _ordered(found)
        if op not in (POOL, RELU, TABLE, MEAN, *FOLDED):
            return None
        if op not in FOLDED:
            found.insert(0, op)
        node = before


def tail_end(graph: Graph, ops: dict[str, str], name: str) -> str:
    """Return the last node of the norms and activations that alone follow the node `name`."""
    while (after := graph.sole_consumer(name)) is not None:
        if ops.get(after.name, after.op) not in (*FOLDED, RELU, TABLE):
            break
        name = after.name
    return name


def _ordered(ops):
    """Return a tail with a max pooling before the ReLUs with which it commutes."""
    if POOL in ops[1:] and set(ops[: ops.index(POOL)]) == {RELU}:
        place = ops.index(POOL)
        return [POOL, *ops[:place], *ops[place + 1 :]]
    return ops


def is_absorbed(graph: Graph, head: Node, tail: list[str]) -> bool:
    """Return whether a layer absorbs `tail`, or the beginning of a longer one that it absorbs."""
    if head.op in JOINS and len(graph.shapes[head.name]) != 3:
        return False
    kind = KINDS.get(head.op, head.op)
    return any(tuple(tail) == allowed[: len(tail)] for allowed in TAILS[kind])
