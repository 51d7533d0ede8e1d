"""Pad even kernels with a row and a column of zeros: Akida's kernels have odd sizes."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.traits import TRANSPOSED
from pipeline.preparation.editing import replaced
from pipeline.preparation.zero_padding import enlarged
from simulator.windows import same_padding


def odd_kernels(graph: Graph) -> Graph:
    """Enlarge even "same" kernels by one row and column of zeros, if that is equivalent.

    Kernels of size 2, 4, 6 at stride 1 and of size 2 at stride 2 are enlarged; for a convolution of
    an image of 1 or 3 channels those of size 2 and 6, at stride 1 or 2. The zeros are added where
    they keep the window's first pixel in place: before the kernel if "same" padding grows there,
    else after it.

    Unlike in QuantizeML, which only looks at the first axis, rectangular kernels and strides are
    not changed, and transposed kernels grow on the side that does not depend on the image's size.
    """
    new = {}
    for node in graph.nodes:
        if _applies(graph, node):
            before = [_before(node, size, axis) for axis, size in enumerate(_sizes(graph, node))]
            new[node.name] = enlarged(node, *((count, 1 - count) for count in before))
    return replaced(graph, new)


def _sizes(graph, node):
    return graph.shapes[node.inputs[0]][:2]


def _applies(graph, node):
    if node.op not in ("Conv2D", "DepthwiseConv2D", *TRANSPOSED):
        return False
    (kh, kw), (sh, sw) = node.attrs["kernel_size"], node.attrs["strides"]
    dilated = node.attrs["dilation_rate"] != (1, 1)
    if kh != kw or sh != sw or node.attrs["padding"] != "same" or dilated:
        return False
    if node.op == "Conv2D" and reads_image(graph, node):
        return kh in (2, 6) and sh in (1, 2)
    return (sh == 1 and kh in (2, 4, 6)) or (sh == 2 and kh == 2)


def reads_image(graph, node):
    """Return True if a layer reads the model's input of 1 or 3 channels, possibly rescaled."""
    source = graph.skip_back(node.inputs[0], ("Rescaling",))
    return source.op == "Input" and graph.shapes[source.name][-1] in (1, 3)


def _before(node, size, axis):
    kernel, stride = node.attrs["kernel_size"][axis], node.attrs["strides"][axis]
    if node.op in TRANSPOSED:
        return max(kernel + 1 - stride, 0) // 2 - max(kernel - stride, 0) // 2
    return same_padding(size, kernel + 1, stride)[0] - same_padding(size, kernel, stride)[0]
