"""Make rectangular kernels, strides and pools square if outputs are unchanged."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.traits import CONVOLUTIONS
from pipeline.preparation.editing import replaced
from pipeline.preparation.zero_padding import enlarged
from pipeline.transforms.rewrite import Rewrite
from simulator.windows import output_length, same_padding


def square_windows(graph: Graph) -> Rewrite:
    """Extend rectangular kernels with zeros, and square strides and pools.

    A kernel grows in its shorter direction; with padding 'valid' only if the output keeps its size.
    A stride or a pool only changes in a direction in which one window covers the map.
    """
    new = {}
    for node in graph.nodes:
        shape = graph.shapes[node.inputs[0]] if node.inputs else ()
        squared = node
        if node.op in CONVOLUTIONS and node.attrs["dilation_rate"] == (1, 1):
            squared = _square_kernel(_square_stride(node, shape), shape)
        elif node.op == "MaxPooling2D":
            squared = _square_pool(node, shape)
        if squared is not node:
            new[node.name] = squared
    return Rewrite(graph=replaced(graph, new), changed=tuple(new))


def _square_stride(node, shape):
    strides, padding = node.attrs["strides"], node.attrs["padding"]
    if strides[0] == strides[1]:
        return node
    axes = list(zip(shape[:2], node.attrs["kernel_size"], strict=True))
    for stride in strides:
        if all(
            s == stride or (_outputs(n, k, s, padding) == _outputs(n, k, stride, padding) == 1)
            for (n, k), s in zip(axes, strides, strict=True)
        ):
            return node.with_attrs(strides=(stride, stride))
    return node


def _outputs(size, kernel, stride, padding):
    return output_length(size, kernel, stride, padding)


def _square_kernel(node, shape):
    kernel = node.attrs["kernel_size"]
    if kernel[0] == kernel[1]:
        return node
    margins = []
    for n, k, s in zip(shape[:2], kernel, node.attrs["strides"], strict=True):
        extra, before = max(kernel) - k, 0
        if node.attrs["padding"] == "same":
            before = same_padding(n, k + extra, s)[0] - same_padding(n, k, s)[0]
        elif (n - k) // s != (n - k - extra) // s:
            return node
        if not 0 <= before <= extra:
            return node
        margins.append((before, extra - before))
    return enlarged(node, *margins)


def _square_pool(node, shape):
    pool, padding = node.attrs["pool_size"], node.attrs["padding"]
    strides = node.attrs["strides"] or pool
    if pool[0] == pool[1] and strides[0] == strides[1]:
        return node
    axes = list(zip(shape[:2], pool, strides, strict=True))
    for axis in (0, 1):
        other_n, other_k, other_s = axes[1 - axis]
        n, k, s = axes[axis]
        # The window covers the whole map in this direction, before and after the change.
        covers = k >= n and other_k >= n and -(-n // s) == -(-n // other_s) == 1
        moves = (other_n - other_k) % other_s or same_padding(*axes[1 - axis]) != (0, 0)
        if covers and not (padding == "valid" and moves):
            return node.with_attrs(
                pool_size=(other_k, other_k), strides=(other_s, other_s), padding="same"
            )
    return node
