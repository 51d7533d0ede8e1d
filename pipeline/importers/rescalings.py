"""Arithmetic with constants as nodes: a Rescaling of images, a BatchNormalization elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node

IMAGES = ("Input", "Rescaling")
IN_PLACE = ("Reshape", "Permute", "Flatten", "Dropout")
"""Operations after which images are still images."""


def affine_node(name: str, producer: Node, shape: tuple[int, ...], scale, offset) -> Node:
    """Return the node that computes ``x * scale + offset``.

    Parameters
    ----------
    name : str
    producer : Node
        Producer of x.
    shape : tuple of int
        Shape of x, without the batch.
    scale, offset : float or tuple of float
        One number, or one for each channel.
    """
    if producer.op in IMAGES:
        return make_node(name, "Rescaling", (producer.name,), {"scale": scale, "offset": offset})
    return scaled(name, producer.name, shape, scale, offset)


def scaled(name: str, source: str, shape: tuple[int, ...], scale, offset=0.0) -> Node:
    """Return a batch norm that computes ``x * scale + offset``, see `affine_node`.

    It folds into the layer before it; with these statistics it divides by 1.
    """
    channels = shape[-1:]
    weights = {
        "gamma": np.broadcast_to(np.float32(scale), channels),
        "beta": np.broadcast_to(np.float32(offset), channels),
        "moving_mean": np.zeros(channels, np.float32),
        "moving_variance": np.ones(channels, np.float32),
    }
    return make_node(name, "BatchNormalization", (source,), {"epsilon": 0.0}, weights)


def extreme(
    name: str, first: str, second: str, shape: tuple[int, ...], *, least: bool
) -> list[Node]:
    """Return nodes that compute the maximum or minimum of two tensors of `shape`.

    The maximum is ``first + relu(second - first)``, the minimum ``first - relu(first - second)``.
    """
    minus, difference, above, below = (
        f"{name}_{part}" for part in ("minus", "difference", "above", "below")
    )
    negative, positive = (second, first) if least else (first, second)
    nodes = [
        scaled(minus, negative, shape, -1.0),
        make_node(difference, "Add", (positive, minus)),
        make_node(above, "ReLU", (difference,)),
    ]
    if least:
        nodes.append(scaled(below, above, shape, -1.0))
    return [*nodes, make_node(name, "Add", (first, nodes[-1].name))]


def merged_rescalings(graph: Graph) -> Graph:
    """Return a graph in which no Rescaling is the only consumer of another.

    ``x / 127.5 - 1`` is two operations in a file and one Rescaling here; it keeps the last name.
    """
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        before = nodes.get(node.inputs[0]) if node.op == "Rescaling" else None
        if before and before.op == "Rescaling" and graph.sole_consumer(before.name):
            del nodes[before.name]
            node = _merged(before, node)
        nodes[node.name] = node
    return replace(graph, nodes=tuple(nodes.values()))


def _merged(first, second):
    (a, b), (c, d) = (
        tuple(np.asarray(node.attrs[key], np.float64) for key in ("scale", "offset"))
        for node in (first, second)
    )
    attrs = {"scale": _plain(a * c), "offset": _plain(b * c + d)}
    return second.with_attrs(**attrs).with_inputs(*first.inputs)


def _plain(array):
    return float(array) if array.ndim == 0 else tuple(map(float, array))
