"""Multiply-accumulate operations of a float model, per layer and image."""

from __future__ import annotations

import math

from pipeline.graph.graph import Graph


def count_macs(graph: Graph) -> dict[str, int]:
    """Return the multiply-accumulates of each layer with a kernel, for one image.

    A multiplication with zero padding counts; batch norms, biases and pooling do not.
    """
    return {
        node.name: macs
        for node in graph.nodes
        if (macs := _macs(node, graph.shapes[node.name], _input_shape(graph, node)))
    }


def _input_shape(graph, node):
    return graph.shapes[node.inputs[0]] if node.inputs else ()


def _macs(node, shape, source):
    sizes = {key: array.size for key, array in node.weights.items() if key.endswith("kernel")}
    if node.op == "SeparableConv2D":
        # The depthwise half writes the same map as the pointwise half reads.
        return math.prod(shape[:-1]) * sum(sizes.values())
    if node.op in ("Conv2D", "DepthwiseConv2D", "BufferTempConv", "DepthwiseBufferTempConv"):
        return math.prod(shape[:-1]) * sizes["kernel"]
    if node.op in ("Conv2DTranspose", "DepthwiseConv2DTranspose"):
        return math.prod(source[:-1]) * sizes["kernel"]
    if node.op == "Dense":
        return math.prod(source[:-1]) * sizes["kernel"]
    return 0
