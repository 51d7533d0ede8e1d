"""Write kernels that are too small for their stride as the 3x3 kernels that the chip has."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import replaced
from pipeline.preparation.zero_padding import enlarged
from pipeline.transforms.rewrite import Rewrite
from simulator.akida_v2.limits import STRIDE as LARGEST_STRIDE
from simulator.akida_v2.limits import STRIDED_KERNEL
from simulator.windows import output_length, same_padding

SIDE, STRIDE = STRIDED_KERNEL, LARGEST_STRIDE
OPS = ("Conv2D", "DepthwiseConv2D")


def enlarge_small_kernels(graph: Graph) -> Rewrite:
    """Write 1x1 and 2x2 windows of stride 2, and 1x1 depthwise ones, as 3x3 with zeros.

    The weights go where padding 'same' lets a 3x3 kernel meet the same pixels: of a 1x1 kernel of
    stride 2 into the first tap on even sizes, and into the middle one on odd sizes. A 2x2 kernel
    with padding 'valid' needs an even size. A max pooling of one pixel becomes a depthwise
    convolution.
    """
    new = {}
    for node in graph.nodes:
        if node.op == "MaxPooling2D" and _picks(node):
            shape = graph.shapes[node.inputs[0]]
            new[node.name] = selection(node.name, node.inputs[0], shape)
        if node.op in OPS and _is_small(node):
            larger = _enlarged(node, graph.shapes[node.inputs[0]])
            if larger is not None:
                new[node.name] = larger
    return Rewrite(graph=replaced(graph, new), changed=tuple(new))


def selection(name: str, source: str, shape) -> Node:
    """Return a depthwise convolution that passes on every second row and column of a map.

    Parameters
    ----------
    name, source : str
    shape : (height, width, channels)
        Of the map.
    """
    kernel = np.zeros((SIDE, SIDE, shape[2], 1), np.float32)
    kernel[tuple(same_padding(n, SIDE, STRIDE)[0] for n in shape[:2])] = 1
    attrs = {"kernel_size": SIDE, "strides": STRIDE, "padding": "same", "use_bias": False}
    return make_node(name, "DepthwiseConv2D", [source], attrs, {"kernel": kernel})


def _picks(pool):
    return pool.attrs["pool_size"] == (1, 1) and pool.attrs["strides"] == (STRIDE, STRIDE)


def _is_small(node):
    stride, depthwise = max(node.attrs["strides"]), node.op == "DepthwiseConv2D"
    small = max(node.attrs["kernel_size"]) < SIDE and node.attrs["dilation_rate"] == (1, 1)
    return small and (stride == STRIDE or (stride == 1 and depthwise))


def _enlarged(node, shape):
    """Return the 3x3 convolution of the same outputs, or None."""
    margins, padding = [], node.attrs["padding"]
    for n, k, s in zip(shape[:2], node.attrs["kernel_size"], node.attrs["strides"], strict=True):
        if output_length(n, k, s, padding) != output_length(n, SIDE, s, "same"):
            return None
        start = same_padding(n, k, s)[0] if padding == "same" else 0
        before = same_padding(n, SIDE, s)[0] - start
        if not 0 <= before <= SIDE - k:
            return None
        margins.append((before, SIDE - k - before))
    return enlarged(node, *margins).with_attrs(padding="same")
