"""Write strided windows on symmetrically padded maps as windows of stride 1 and a selection."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import inserted, removed, replaced
from pipeline.preparation.nonnegative import is_nonnegative
from pipeline.preparation.odd_kernels import reads_image
from pipeline.preparation.zero_padding import folded_window
from pipeline.transforms.exact.enlarge_small_kernels import selection
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.tails import POOL, inner_operations, tail_end
from simulator.akida_v2.limits import INPUT_STRIDES, STRIDE, STRIDED_KERNEL
from simulator.windows import output_length

WINDOWS = ("Conv2D", "DepthwiseConv2D", POOL)
KERNELS = (3, 5, 7)


def stride_by_selection(graph: Graph) -> Rewrite:
    """Write ZeroPadding2D before a window of stride 2 as a window of stride 1 and a selection.

    Only where the zeros are the same on all sides, and the chip's padding 'same' would start a
    strided window elsewhere, as on even sizes: PyTorch pads like this. The selection is a 3x3
    depthwise convolution of stride 2 with one weight of 1, after the window's activation. A max
    pooling must not meet values below 0, since padding does not count in it.
    """
    ops, changed = inner_operations(graph), []
    for padding in graph.nodes:
        window = graph.sole_consumer(padding) if padding.op == "ZeroPadding2D" else None
        if window is not None and _applies(graph, graph.node(padding.name), window):
            graph = _selected(graph, ops, padding, window)
            changed.append(padding.name)
    return Rewrite(graph=graph, changed=tuple(changed))


def _applies(graph, padding, window) -> bool:
    """Return whether a window is to be rewritten: symmetric, and no window of the chip as it is."""
    if window.op not in WINDOWS or window.attrs["padding"] != "valid":
        return False
    kernel = window.attrs["pool_size" if window.op == POOL else "kernel_size"]
    counts = (window.attrs.get(key, 1) for key in ("groups", "depth_multiplier"))
    plain = window.attrs.get("dilation_rate", (1, 1)) == (1, 1) == tuple(counts)
    strided = window.attrs["strides"] == (STRIDE, STRIDE)
    if not (plain and strided and kernel[0] == kernel[1] and kernel[0] in KERNELS):
        return False
    side = kernel[0] // 2
    shape = graph.shapes[padding.inputs[0]]
    alike = padding.attrs["padding"] == ((side, side), (side, side))
    counted = graph.shapes[window.name][:2] == tuple(
        output_length(n, 1, STRIDE, "same") for n in shape[:2]
    )
    compared = window.op != POOL or is_nonnegative(graph, padding.inputs[0])
    return alike and counted and compared and not _fits(graph, padding, window)


def _fits(graph, padding, window) -> bool:
    """Return whether the chip has a strided window of its own that pads like this."""
    folded = folded_window(graph, padding, window)
    if not isinstance(folded, Node):
        return False
    if window.op == POOL:
        return True
    side = folded.attrs["kernel_size"][0]
    image = window.op == "Conv2D" and reads_image(graph, padding)
    return INPUT_STRIDES.get(side, 0) >= STRIDE if image else side == STRIDED_KERNEL


def _selected(graph, ops, padding, window) -> Graph:
    shape = (*graph.shapes[padding.inputs[0]][:2], graph.shapes[window.name][2])
    full = window.with_attrs(padding="same", strides=(1, 1))
    graph = removed(replaced(graph, {window.name: full}), {padding.name})
    last = tail_end(graph, ops, window.name)
    return inserted(graph, last, selection(graph.part_name(last, "selection"), last, shape))
