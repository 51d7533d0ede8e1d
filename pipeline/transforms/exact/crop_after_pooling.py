"""Let a max pooling pad as its convolution does, and cut off what that adds."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import inserted, replaced
from pipeline.transforms.exact.match_pool_padding import tiles
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.tails import FOLDED, POOL, RELU, TABLE, inner_operations, tail_before
from simulator.windows import output_length, same_padding


def crop_after_pooling(graph: Graph) -> Rewrite:
    """Give max poolings on maps that they do not divide the padding 'same' of their convolution.

    A depthwise convolution without padding, with one weight of 1, then cuts the border off. It
    runs on the emulator only. Needs the same rest in both directions.
    """
    ops, changed = inner_operations(graph), []
    for node in graph.nodes:
        border = _border(graph, ops, node) if ops.get(node.name) == POOL else None
        if border is not None:
            graph = _cropped(graph, ops, node, *border)
            changed.append(node.name)
    return Rewrite(graph=graph, changed=tuple(changed))


def _border(graph, ops, pool) -> tuple[int, tuple[int, int]] | None:
    """Return by how much padding 'same' enlarges a pooled map, and how much of it comes first.

    None where nothing is to be done, or no square crop gives the same pixels.
    """
    shape = graph.shapes[pool.inputs[0]]
    if pool.attrs["padding"] == "same" or len(shape) != 3 or tiles(pool, shape):
        return None
    found = tail_before(graph, ops, graph.node(pool.name))
    padded = found is not None and found[0].attrs.get("padding", "same") == "same"
    if not padded and (found is None or found[0].attrs.get("kernel_size") != (1, 1)):
        return None
    sides = pool.attrs["pool_size"]
    axes = list(zip(shape[:2], sides, pool.attrs["strides"] or sides, strict=True))
    rests = {output_length(*axis, "same") - output_length(*axis, "valid") for axis in axes}
    first = [divmod(same_padding(*axis)[0], axis[2]) for axis in axes]
    if len(rests) != 1 or any(misses for _, misses in first):
        return None
    return rests.pop(), tuple(count for count, _ in first)


def _cropped(graph, ops, pool: Node, rest: int, first: tuple[int, int]) -> Graph:
    graph = replaced(graph, {pool.name: graph.node(pool.name).with_attrs(padding="same")})
    last = pool
    while (after := graph.sole_consumer(last.name)) is not None:
        if ops.get(after.name, after.op) not in (*FOLDED, RELU, TABLE):
            break
        last = after
    channels = graph.shapes[pool.name][-1]
    kernel = np.zeros((rest + 1, rest + 1, channels, 1), np.float32)
    kernel[first] = 1
    attrs = {"kernel_size": rest + 1, "padding": "valid", "use_bias": False}
    name = graph.part_name(pool.name, "crop")
    return inserted(
        graph, last.name, make_node(name, "DepthwiseConv2D", [last.name], attrs, {"kernel": kernel})
    )
