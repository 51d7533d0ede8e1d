"""Recognise depthwise convolutions that are written as grouped convolutions."""

from __future__ import annotations

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph


def grouped_to_depthwise(graph: Graph) -> Graph:
    """Replace Conv2D with equal groups, filters and input channels by DepthwiseConv2D.

    A convolution of one channel into one filter (groups 1) is kept: its integers are the same, and
    a first layer may be a Conv2D but not a DepthwiseConv2D.
    """
    found = {
        node.name
        for node in graph.nodes
        if node.op == "Conv2D"
        and node.attrs["groups"] > 1
        and node.attrs["groups"] == node.attrs["filters"] == graph.shapes[node.inputs[0]][-1]
    }
    if not found:
        return graph

    def split(node):
        if node.name not in found:
            return None
        keys = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")
        attrs = {key: node.attrs[key] for key in keys}
        weights = {**node.weights, "kernel": node.weights["kernel"].swapaxes(2, 3)}
        return [make_node(node.name, "DepthwiseConv2D", node.inputs, attrs, weights)]

    return graph.rewrite(split)
