"""Add constants to what a layer computes, or take them off in the layers that read it."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL
from pipeline.preparation.editing import inserted, replaced
from pipeline.transforms.exact.identity_before_pooling import identity

PASSING = ("Dropout", "Flatten", "Reshape")


def with_shift(node: Node, values: np.ndarray) -> Node:
    """Return a batch norm or a layer whose outputs are larger by one value per channel."""
    key, flag = ("beta", "center") if node.op == "BatchNormalization" else ("bias", "use_bias")
    old = node.weights.get(key, np.float32(0))
    return node.with_attrs(**{flag: True}).with_weights(**{key: np.float32(old + values)})


def shifted_before(graph: Graph, name: str, values: np.ndarray) -> Graph:
    """Return `graph` with `values` added to what the node called `name` reads.

    In the batch norm or layer before it, which has no other consumer, past max poolings, which
    commute with the sum; else in an identity convolution that is put there.
    """
    node = graph.node(name)
    before = graph.skip_back(node.inputs[0], ("Dropout", "MaxPooling2D"))
    alone = graph.skip_ahead(before, ("Dropout", "MaxPooling2D")) is node
    if alone and (before.op == "BatchNormalization" or before.op in NEURAL):
        return replaced(graph, {before.name: with_shift(before, values)})
    pool = graph.node(node.inputs[0])
    place = pool if pool.op == "MaxPooling2D" else node
    new = with_shift(identity(graph, place.inputs[0]), values)
    return inserted(graph, place.inputs[0], new, consumers={place.name})


def taken_off(graph: Graph, name: str, values: np.ndarray) -> Graph:
    """Return `graph` with `values` taken off from what the consumers of `name` read.

    In the bias of the only consumer, or on the other branch of an Add; else in an identity
    convolution after `name`.
    """
    if not np.any(values):
        return graph
    consumer = graph.skip_ahead(name, PASSING)
    if consumer is not None and consumer.op == "Add" and not consumer.attrs["average"]:
        other = _other_branch(graph, name, consumer)
        if other is not None:
            return replaced(graph, {other.name: with_shift(other, -values)})
    if consumer is not None and _reads_all(consumer):
        size = graph.shapes[consumer.inputs[0]][-1]
        repeated = np.tile(values, size // values.size)
        return replaced(graph, {consumer.name: _without(consumer, repeated)})
    return inserted(graph, name, with_shift(identity(graph, name), -values))


def _other_branch(graph, name, add) -> Node | None:
    """Return the batch norm or layer whose output an Add adds to the tensor `name`."""
    others = [source for source in add.inputs if source != name]
    if len(others) != 1 or name not in add.inputs or len(add.inputs) != 2:
        return None
    other = graph.skip_back(others[0], ("Dropout",))
    known = other.op == "BatchNormalization" or other.op in NEURAL
    return other if known and graph.skip_ahead(other, ("Dropout",)) is add else None


def _reads_all(node):
    """Return whether no window of a layer reaches beyond its input."""
    if node.op == "Dense":
        return True
    one = node.op == "Conv2D" and node.attrs["groups"] == 1 and node.attrs["padding_value"] is None
    return one and (node.attrs["padding"] == "valid" or node.attrs["kernel_size"] == (1, 1))


def _without(node, values):
    kernel = node.weights["kernel"]
    product = kernel * values.reshape(-1, 1)
    return with_shift(node, -product.sum(tuple(range(kernel.ndim - 1)), dtype=np.float64))
