"""Fuse depthwise and pointwise convolutions into SeparableConv2D for Akida 1.0."""

from __future__ import annotations

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.transforms.rewrite import Rewrite

KEYS = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")


def fuse_separable(graph: Graph) -> Rewrite:
    """Replace DepthwiseConv2D > 1x1 Conv2D by one SeparableConv2D.

    The reverse of ``unfuse_separable``: ``dw_x`` and ``pw_x`` become ``x``; with other names the
    fused layer has the pointwise layer's name. A bias of the depthwise layer is multiplied by the
    pointwise kernel.
    """
    pairs = {}
    for depthwise in graph.nodes:
        pointwise = graph.sole_consumer(depthwise)
        if depthwise.op == "DepthwiseConv2D" and pointwise is not None and _fuses(pointwise):
            pairs[pointwise.name] = depthwise
    gone = {depthwise.name for depthwise in pairs.values()}

    def split(node):
        if node.name in gone:
            return []
        if node.name not in pairs:
            return None
        return [_fused(graph, pairs[node.name], node)]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(pairs))


def _fuses(node):
    plain = node.op == "Conv2D" and node.attrs["kernel_size"] == node.attrs["strides"] == (1, 1)
    return plain and node.attrs["groups"] == 1 and node.attrs["padding_value"] is None


def _fused(graph, depthwise, pointwise):
    kernel, bias = pointwise.weights["kernel"], pointwise.weights.get("bias")
    if depthwise.attrs["use_bias"]:
        passed = depthwise.weights["bias"] @ kernel[0, 0]
        bias = passed if bias is None else bias + passed
    attrs = {key: depthwise.attrs[key] for key in KEYS}
    attrs |= {"filters": pointwise.attrs["filters"], "use_bias": bias is not None}
    weights = {"depthwise_kernel": depthwise.weights["kernel"], "pointwise_kernel": kernel}
    if bias is not None:
        weights["bias"] = bias
    original, name = _original_name(depthwise, pointwise), pointwise.name
    if original is not None:
        name = graph.fresh_name(original)
    return make_node(name, "SeparableConv2D", depthwise.inputs, attrs, weights)


def _original_name(depthwise, pointwise):
    """Return the name of the layer from which both were split, in files known by prefix only."""
    if depthwise.split_from is not None and depthwise.split_from == pointwise.split_from:
        return pointwise.split_from
    name = pointwise.name.removeprefix("pw_")
    return name if (depthwise.name, pointwise.name) == (f"dw_{name}", f"pw_{name}") else None
