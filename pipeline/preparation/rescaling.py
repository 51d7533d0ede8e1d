"""Reduce the input's Rescaling to one factor, which the integer model can absorb."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import replaced

TARGETS = ("Conv2D", "Dense", "BufferTempConv", "DepthwiseBufferTempConv")


def align_rescaling(graph: Graph) -> Graph:
    """Fold the offset of the first Rescaling, and its scales, into the layer after it.

    Scales per channel and negative scales are folded into the kernel, the offset into the bias. A
    convolution with "same" padding must then pad with the value that represents zero: its attribute
    `padding_value` becomes -offset (-offset / scale if the scale was folded).

    Not changed, and refused by `unsupported`: a Rescaling with several consumers, one before
    another layer type, and one with an offset before a buffered temporal convolution, whose buffers
    start with zeros (QuantizeML folds it too, which changes the outputs of the first time steps).
    """
    found = next((node for node in graph.nodes if node.op == "Rescaling"), None)
    if found is None or is_aligned(found):
        return graph
    target = graph.sole_consumer(found)
    if target is None or target.op not in TARGETS or target.attrs.get("groups", 1) != 1:
        return graph
    scale, offset = np.float32(found.attrs["scale"]), np.float32(found.attrs["offset"])
    if ("Buffer" in target.op and np.any(offset)) or not np.all(scale):
        return graph
    new = {found.name: found.with_attrs(scale=_factor(found), offset=0.0)}
    new[target.name] = _absorb(target, scale, offset, keeps_scale=_is_factor(found))
    return replaced(graph, new)


def is_aligned(node: Node) -> bool:
    """Return True if a Rescaling is one positive factor without offset."""
    return _is_factor(node) and not np.any(node.attrs["offset"])


def _is_factor(node):
    """Return True if all channels have the same positive scale."""
    return np.size(node.attrs["scale"]) == 1 and np.all(np.asarray(node.attrs["scale"]) > 0)


def _factor(node):
    return float(np.squeeze(node.attrs["scale"])) if _is_factor(node) else 1.0


def _absorb(node, scale, offset, *, keeps_scale):
    kernel = node.weights["kernel"]
    attrs, per_channel = {"use_bias": True}, np.size(scale) > 1
    if node.op == "Conv2D" and node.attrs["padding"] == "same":
        old = np.float32(0 if node.attrs["padding_value"] is None else node.attrs["padding_value"])
        value = np.atleast_1d(old - offset if keeps_scale else (old - offset) / scale)
        value = value[:1] if np.all(value == value[0]) else value
        attrs["padding_value"] = tuple(map(float, value)) if np.any(value) else None
    bias = node.weights.get("bias", np.zeros(kernel.shape[-1], np.float32))
    if node.op == "BufferTempConv" and per_channel:
        scale = np.tile(scale, node.attrs["fifo_size"])
    if node.op != "DepthwiseBufferTempConv":
        scale, offset = np.reshape(scale, (-1, 1)), np.reshape(offset, (-1, 1))
    if np.any(offset):
        bias = bias + np.sum(kernel * offset, axis=tuple(range(kernel.ndim - 1)))
    if not keeps_scale:
        kernel = kernel * scale
    return node.with_attrs(**attrs).with_weights(kernel=kernel, bias=bias)
