"""Pad where a model does not, and cut the border off in the Dense layer that flattens the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product, zip_longest

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import CONVOLUTIONS, POINTWISE
from pipeline.preparation.editing import replaced
from pipeline.preparation.odd_kernels import reads_image
from pipeline.preparation.zero_padding import LARGEST_KERNEL, enlarged
from pipeline.transforms.rewrite import Rewrite
from simulator.akida_v2.limits import INPUT_STRIDES, INPUTS, STRIDE, STRIDED_KERNEL
from simulator.windows import output_length, same_padding

POOL, MEAN = "MaxPooling2D", "GlobalAveragePooling2D"
MOST_GROWN = 8
"""First layers of a chain whose kernels may grow further, of which all choices are tried."""
BETWEEN = tuple(op for op in POINTWISE if op != "PReLU")
"""Operations that do not depend on the size of the map; a PReLU may have a slope for each pixel."""


def cut_borders_in_dense(graph: Graph) -> Rewrite:
    """Give convolutions and max poolings before a flattened map padding 'same', which the chip has.

    What the padding adds around the map gets weights of zero in the Dense layer. Kernels grow to
    odd squares with zeros. A global average before the Dense layer becomes weights of it. Only
    where nothing pads in between, and the Dense layer keeps within the chip's number of inputs.
    """
    changed: list[str] = []
    for node in graph.nodes:
        if node.op == "Dense":
            graph, names = _rewritten(graph, node)
            changed += names
    return Rewrite(graph=graph, changed=tuple(changed))


@dataclass(frozen=True)
class _Window:
    """One window on one axis: the original one, and the sides that the new one may have."""

    side: int
    stride: int
    new_side: int


def _rewritten(graph: Graph, dense: Node) -> tuple[Graph, list[str]]:
    """Return the graph whose `dense` cuts borders off, and which layers now pad."""
    chain = _chain(graph, dense)
    if not any(_overhangs(graph, node) for node in chain):
        return graph, []
    shape = graph.shapes[chain[0].inputs[0]]
    plans = _plans(chain, shape)
    if plans is None:
        return graph, []
    last = graph.shapes[chain[-1].name]
    sizes = [plan[-1] for plan in plans]
    flat = graph.skip_back(dense.inputs[0], ("Dropout",))
    largest = INPUTS if flat.op == MEAN else max(INPUTS, int(np.prod(last)))
    if int(np.prod(sizes)) * last[2] > largest:
        return graph, []
    new = {}
    for place, node in enumerate(chain):
        margins = [plan[0][place] for plan in plans]
        padded = node if node.op == POOL else enlarged(node, *margins)
        new[node.name] = padded.with_attrs(padding="same")
    inner = dense.weights["kernel"]
    if flat.op == MEAN:
        pixels = last[0] * last[1]
        inner = np.tile(inner / np.float32(pixels), (pixels, 1))
        new[flat.name] = make_node(flat.name, "Flatten", flat.inputs)
    elif flat.op == "Reshape":
        new[flat.name] = flat.with_attrs(target_shape=(-1,))
    starts = [plan[1] for plan in plans]
    new[dense.name] = dense.with_weights(kernel=_with_border(inner, last, sizes, starts))
    return replaced(graph, new), [node.name for node in chain]


def _chain(graph: Graph, dense: Node) -> list[Node]:
    """Return the windows between the last padding and `dense`, in order; none where it is no map.

    An image's own convolution keeps its padding, if the chip has its kernel.
    """
    chain: list[Node] = []
    flat = graph.skip_back(dense.inputs[0], ("Dropout",))
    if flat.op not in ("Flatten", "Reshape", MEAN) or len(graph.shapes[flat.name]) != 1:
        return []
    if graph.sole_consumer(flat) is None:
        return []
    node = graph.node(flat.inputs[0])
    while _passes(graph, node):
        if node.op in (*CONVOLUTIONS, POOL):
            if _pads(graph, node) or (node.op == "Conv2D" and _is_first(graph, node)):
                break
            chain.insert(0, node)
        node = graph.node(node.inputs[0])
    return chain


def _passes(graph, node) -> bool:
    known = node.op in (*CONVOLUTIONS, POOL, *BETWEEN) and node.op != "SeparableConv2D"
    plain = node.attrs.get("dilation_rate", (1, 1)) == (1, 1)
    return known and plain and graph.sole_consumer(node) is not None


def _pads(graph, node) -> bool:
    """Return whether a window reads a border, whose zeros must stay zeros."""
    if node.attrs["padding"] == "valid":
        return False
    side = node.attrs["pool_size" if node.op == POOL else "kernel_size"]
    strides = node.attrs["strides"] or side
    shape = graph.shapes[node.inputs[0]][:2]
    return any(same_padding(*axis) != (0, 0) for axis in zip(shape, side, strides, strict=True))


def _is_first(graph, node) -> bool:
    """Return whether a convolution becomes the chip's input convolution as it is."""
    kernel, strides = node.attrs["kernel_size"], node.attrs["strides"]
    square = len(set(kernel)) == 1 and max(strides) <= INPUT_STRIDES.get(kernel[0], 0)
    return square and reads_image(graph, node)


def _overhangs(graph, node) -> bool:
    """Return whether padding 'same' would give a window another number of outputs."""
    side = node.attrs["pool_size" if node.op == POOL else "kernel_size"]
    strides, shape = node.attrs["strides"] or side, graph.shapes[node.inputs[0]]
    axes = zip(shape[:2], side, strides, strict=True)
    return any(output_length(*a, "same") != output_length(*a, "valid") for a in axes)


def _plans(chain: list[Node], shape):
    """Return the plans of both axes whose kernels are the smallest squares; None if there is none.

    Larger kernels can place the map elsewhere, as the strides after them may need.
    """
    choices = product((0, 2), repeat=min(len(chain), MOST_GROWN))
    for growth in sorted(choices, key=sum):
        pairs = list(zip_longest(chain, growth, fillvalue=0))
        windows = [[_window(node, axis, grown) for node, grown in pairs] for axis in (0, 1)]
        plans = [_plan(one, n) for one, n in zip(windows, shape[:2], strict=True)]
        if None not in plans:
            return plans
    return None


def _window(node, axis, grown) -> _Window:
    side = node.attrs["pool_size" if node.op == POOL else "kernel_size"]
    stride = (node.attrs["strides"] or side)[axis]
    if node.op == POOL:
        return _Window(side[axis], stride, side[axis])
    odd = max(side) + 1 - max(side) % 2
    # A kernel of stride 2 grows to the only one that the chip has, if it is smaller.
    grown = odd if stride == STRIDE else min(odd + grown, max(odd, LARGEST_KERNEL))
    return _Window(side[axis], stride, max(grown, STRIDED_KERNEL if stride == STRIDE else 1))


def _plan(windows: list[_Window], size: int):
    """Return the zeros before and after each kernel, the border's start, the extent and the size.

    None where no zeros bring the windows onto the same pixels. The map holds what the original one
    held from `start` on, over `extent` pixels; what is around it is never read by these windows.
    """

    @cache
    def search(place: int, start: int, extent: int, size: int):
        if place == len(windows):
            return (), start, size
        window = windows[place]
        padding = same_padding(size, window.new_side, window.stride)[0]
        outputs = (extent - window.side) // window.stride + 1
        for before, after in _margins(window):
            first = start + padding - before
            next_size = -(-size // window.stride)
            if first % window.stride or not 0 <= first // window.stride <= next_size - outputs:
                continue
            rest = search(place + 1, first // window.stride, outputs, next_size)
            if rest is not None:
                return ((before, after), *rest[0]), *rest[1:]
        return None

    return search(0, 0, size, size)


def _margins(window: _Window) -> Iterator[tuple[int, int]]:
    extra = window.new_side - window.side
    return ((before, extra - before) for before in range(extra + 1))


def _with_border(inner: np.ndarray, shape, sizes, starts) -> np.ndarray:
    """Return the weights of a map of `shape`, with zeros around it within one of `sizes`."""
    (rows, columns, channels), units = shape, inner.shape[-1]
    kernel = np.zeros((*sizes, channels, units), np.float32)
    kernel[starts[0] : starts[0] + rows, starts[1] : starts[1] + columns] = inner.reshape(
        *shape, units
    )
    return kernel.reshape(-1, units)
