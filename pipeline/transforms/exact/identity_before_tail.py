"""Put identity layers before activations and max poolings that no layer absorbs."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.preparation.editing import inserted
from pipeline.transforms.exact.identity_before_pooling import identity
from pipeline.transforms.exact.match_pool_padding import tiles
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.tails import (
    MEAN,
    POOL,
    RELU,
    TABLE,
    inner_operations,
    is_absorbed,
    tail_before,
)


def identity_before_tail(graph: Graph) -> Rewrite:
    """Put a 1x1 identity Conv2D before max poolings and activations that no layer absorbs.

    These read a tensor with several consumers, the model's input, or come in an order that one
    layer does not compute. On a vector the identity is a Dense layer.
    """
    changed, ops = [], inner_operations(graph)
    for node in graph.nodes:
        if ops.get(node.name) not in (POOL, RELU, TABLE) or _fits(graph, ops, node.name):
            continue
        source = node.inputs[0]
        rank = len(graph.shapes[source])
        if rank == 3 or (rank == 1 and ops[node.name] == RELU):
            new = (identity if rank == 3 else _dense)(graph, source)
            graph = inserted(graph, source, new, consumers={node.name})
            changed.append(node.name)
    return Rewrite(graph=graph, changed=tuple(changed))


def _fits(graph, ops, name):
    if graph.node(graph.node(name).inputs[0]).op == "ZeroPadding2D":
        return True  # An identity would separate the pooling from its padding.
    found = tail_before(graph, ops, graph.node(name))
    if found is not None and MEAN in found[1]:
        return True  # What follows an average has transforms of its own.
    return found is not None and is_absorbed(graph, *found) and _pads_alike(graph, *found, name)


def _pads_alike(graph, head, tail, name):
    """Return whether a max pooling pads as its layer; a 1x1 identity lets it pad by itself."""
    pool, kernel = graph.node(name), head.attrs.get("kernel_size", (1, 1))
    if pool.op != POOL or pool.attrs["padding"] == "valid" or kernel == (1, 1):
        return True
    return head.attrs["padding"] == "same" or tiles(pool, graph.shapes[pool.inputs[0]])


def _dense(graph, source):
    """Return an identity Dense layer that reads the vector `source`."""
    units = graph.shapes[source][-1]
    kernel = np.eye(units, dtype=np.float32)
    name = graph.part_name(source, "identity")
    return make_node(
        name, "Dense", [source], {"units": units, "use_bias": False}, {"kernel": kernel}
    )
