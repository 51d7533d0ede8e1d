"""Replace explicit zero padding by the "same" padding of the convolution behind it."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.preparation.editing import pairs, removed, replaced
from simulator.windows import same_padding

LARGEST_KERNEL = 7
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def fold_zero_padding(graph: Graph) -> Graph:
    """Fold ZeroPadding2D into a following "valid" convolution that alone reads it.

    Only where the result is the same: "same" padding of kernel k must start at the same pixel.
    Where it does not, a larger kernel with zeros at its end may: ((1, 1), (1, 1)) before a 3x3
    kernel of stride 2 on an even size pads as "same" does for 5x5. QuantizeML takes the padding
    off there and keeps 3x3, which moves the image by one pixel. Kernels grow to 7x7 at most;
    beyond, the ZeroPadding2D stays and `unsupported` names it.
    """
    new, gone = {}, set()
    for padding, conv in pairs(graph, ("ZeroPadding2D",), CONVOLUTIONS):
        if conv.attrs["padding"] != "valid" or conv.attrs["dilation_rate"] != (1, 1):
            continue
        grown = _grow(conv, graph.shapes[padding.inputs[0]][:2], padding.attrs["padding"])
        if grown:
            new[conv.name] = grown
            gone.add(padding.name)
    return removed(replaced(graph, new), gone)


def _grow(node, sizes, paddings):
    kernels, strides = node.attrs["kernel_size"], node.attrs["strides"]
    for extra in range(max(LARGEST_KERNEL - max(kernels), 0) + 1):
        if extra and any((size + extra) % 2 == 0 for size in kernels):
            continue
        margins = [
            _margins(*axis, extra) for axis in zip(sizes, paddings, kernels, strides, strict=True)
        ]
        if None not in margins:
            return enlarged(node, *margins).with_attrs(padding="same")
    return None


def _margins(size, padding, kernel, stride, extra):
    """Return the zeros before and after a kernel that grows by `extra`, or None."""
    outputs = (size + sum(padding) - kernel) // stride + 1
    if outputs != -(-size // stride):
        return None
    before = same_padding(size, kernel + extra, stride)[0] - padding[0]
    return (before, extra - before) if 0 <= before <= extra else None


def enlarged(node, rows, columns):
    """Return a convolution whose kernel has zeros around it: (before, after) rows and columns."""
    key = "depthwise_kernel" if node.op == "SeparableConv2D" else "kernel"
    kernel = np.pad(node.weights[key], (rows, columns, (0, 0), (0, 0)))
    return node.with_attrs(kernel_size=kernel.shape[:2]).with_weights(**{key: kernel})
