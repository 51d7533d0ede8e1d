"""Let a model take its images in the shape in which its first layer reads them."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import removed, replaced
from pipeline.transforms.feeding import AS_THEY_ARE, PERMUTE, RESHAPE, Feeding
from pipeline.transforms.rewrite import Rewrite

MOVES = ("Reshape", "Flatten", "Permute")


def shape_input(graph: Graph) -> Rewrite:
    """Remove Reshape and Permute after the input: the model takes images as they come out of it.

    The certificate says how to reshape images. A Flatten stays where the chip flattens the map.
    """
    moves = _moves(graph)
    if not moves or not _needed(graph, moves[-1]):
        return Rewrite(graph=graph, changed=())
    shape = graph.shapes[moves[-1].name]
    steps = [Feeding((_step(graph, node),)) for node in moves]
    new = removed(graph, {node.name for node in moves})
    image = new.input.with_attrs(shape=tuple(shape))
    return Rewrite(
        graph=replaced(new, {image.name: image}),
        changed=tuple(node.name for node in moves),
        feeding=sum(steps, AS_THEY_ARE),
    )


def _moves(graph: Graph) -> list[Node]:
    """Return what moves the values of images before the first layer, past a Rescaling."""
    moves, node = [], graph.sole_consumer(graph.input)
    while node is not None and (node.op in MOVES or _keeps(node)):
        moves += [node] if node.op in MOVES else []
        node = graph.sole_consumer(node)
    return moves


def _keeps(node: Node) -> bool:
    """Return whether a node treats all values alike, so that it commutes with moves."""
    if node.op == "Rescaling":
        return all(np.size(node.attrs[key]) == 1 for key in ("scale", "offset"))
    return node.op == "Dropout"


def _needed(graph: Graph, last: Node) -> bool:
    """Return whether no chip reads the images as they are."""
    flat = len(graph.shapes[last.name]) == 1
    image = graph.input.attrs
    return not flat or len(image["shape"]) != 3 or image["dtype"] == "float32"


def _step(graph: Graph, node: Node) -> tuple[str, tuple[int, ...]]:
    if node.op == "Permute":
        return PERMUTE, tuple(node.attrs["dims"])
    return RESHAPE, tuple(graph.shapes[node.name])
