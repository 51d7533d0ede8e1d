"""Give max poolings without an activation the ReLU that the chip's layer has after them."""

from __future__ import annotations

import math

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation.editing import inserted
from pipeline.preparation.nonnegative import is_nonnegative
from pipeline.preparation.verification import random_images
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.shifting import shifted_before, taken_off
from pipeline.transforms.tails import (
    FOLDED,
    POOL,
    RELU,
    TABLE,
    inner_operations,
    tail_before,
)

LARGE = 1 << 16
"""Values of an image from which a single random one is measured, so that a check takes seconds."""


def relu_after_max_pooling(graph: Graph, options=None, images=None) -> Rewrite:
    """Put a ReLU after max poolings that have no activation, with a constant around it.

    ``layer + c > pooling > ReLU > - c``: c, one number for each channel, is what lifts the least
    value of the images to 0, so that the ReLU changes none of them. It goes into the layer's bias,
    and comes off in the next layer's bias, on the other branch of an Add, or in an identity 1x1
    Conv2D. Values below those of the images are raised to the least one, as quantization does.
    After a pooling of values of at least 0 the ReLU needs no constant, and changes nothing ever.

    Parameters
    ----------
    graph : Graph
    options
        Not used.
    images : Images, optional
        What the ranges are measured on; random ones if left out.
    """
    places = _places(graph)
    measured = [name for name in places.values() if not is_nonnegative(graph, name)]
    lowest = _lowest(graph, measured, images) if measured else {}
    for place in places.values():
        relu = make_node(graph.part_name(place, "relu"), "ReLU", [place])
        graph = inserted(graph, place, relu)
        if place in lowest:
            values = np.maximum(-lowest[place], 0)
            graph = taken_off(graph, relu.name, values)
            graph = shifted_before(graph, relu.name, values)
    details = {"least_values": {name: float(low.min()) for name, low in lowest.items()}}
    return Rewrite(
        graph=graph,
        changed=tuple(places),
        calibrated=bool(lowest),
        details=details if lowest else {},
    )


def _places(graph) -> dict[str, str]:
    """Return the nodes that need a ReLU after them, by the name of their max pooling."""
    ops, places = inner_operations(graph), {}
    for node in graph.nodes:
        if ops.get(node.name) != POOL or len(graph.shapes[node.name]) != 3:
            continue
        found = tail_before(graph, ops, node)
        if found is None or {RELU, TABLE} & set(found[1]):
            continue
        last = node
        while (after := graph.sole_consumer(last)) and ops.get(after.name, after.op) in FOLDED:
            last = after
        if after is None or ops.get(after.name) not in (RELU, TABLE):
            places[node.name] = last.name
    return places


def _lowest(graph, names, images) -> dict[str, np.ndarray]:
    """Return the least value of each channel of some tensors."""
    lowest: dict[str, np.ndarray] = {}

    def probe(name, values):
        if name in names:
            low = values.min(axis=(0, 1, 2))
            lowest[name] = np.minimum(lowest[name], low) if name in lowest else low

    forward(graph, _noise(graph) if images is None else images.images, probe=probe)
    return lowest


def _noise(graph):
    large = math.prod(graph.shapes[graph.input.name]) > LARGE
    return random_images(graph, 1) if large else random_images(graph)
