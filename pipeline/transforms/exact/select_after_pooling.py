"""Let a max pooling pad as its convolution does, and select the windows that were meant."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import inserted, replaced
from pipeline.transforms.exact.match_pool_padding import tiles
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.selecting import selection
from pipeline.transforms.tails import POOL, inner_operations, tail_before, tail_end
from simulator.windows import same_padding


def select_after_pooling(graph: Graph) -> Rewrite:
    """Write max poolings of padding 'valid' after padded convolutions as 'same' and a selection.

    Only where the padding matters. The pooling gets stride 1; a depthwise convolution of its size
    and stride, without padding and with one weight of 1, selects the windows that lie on the map.
    It runs on the emulator only.
    """
    ops, changed = inner_operations(graph), []
    for node in graph.nodes:
        if ops.get(node.name) == POOL and _applies(graph, ops, graph.node(node.name)):
            graph = _selected(graph, ops, graph.node(node.name))
            changed.append(node.name)
    return Rewrite(graph=graph, changed=tuple(changed))


def _applies(graph, ops, pool) -> bool:
    shape = graph.shapes[pool.inputs[0]]
    if pool.attrs["padding"] == "same" or len(shape) != 3 or tiles(pool, shape):
        return False
    found = tail_before(graph, ops, pool)
    if found is None:
        return False
    attrs = found[0].attrs
    return attrs.get("padding", "same") == "same" or attrs.get("kernel_size") == (1, 1)


def _selected(graph, ops, pool: Node) -> Graph:
    size, channels = pool.attrs["pool_size"], graph.shapes[pool.name][-1]
    place = tuple(same_padding(side, side, 1)[0] for side in size)
    strides = pool.attrs["strides"] or size
    full = pool.with_attrs(padding="same", strides=(1, 1))
    graph = replaced(graph, {pool.name: full})
    last = tail_end(graph, ops, pool.name)
    name = graph.part_name(pool.name, "selection")
    new = selection(name, last, channels, size=size, place=place, strides=strides)
    return inserted(graph, last, new)
