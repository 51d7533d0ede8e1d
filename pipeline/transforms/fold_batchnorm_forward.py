"""Fold a batch norm behind an activation into the layer that reads it; equivalent."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.graph.traits import NEURAL
from pipeline.preparation.editing import removed, replaced
from pipeline.transforms.rewrite import Rewrite

PASSED = ("Dropout", "Flatten", "Reshape", "GlobalAveragePooling2D", "MaxPooling2D")
"""What a batch norm may pass on its way forward; a maximum only with positive scales."""
READERS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")


def fold_batchnorm_forward(graph: Graph, options=None, images=None) -> Rewrite:
    """Fold batch norms that have no layer before them into the next one (equivalent).

    The next layer is a Dense, a 1x1 convolution or one with padding 'valid'; under padding
    'same' a shift would also have to reach the padded zeros, so only pure scales fold there.
    Other batch norms stay.

    Parameters
    ----------
    graph : Graph
    options, images
        Not used.
    """
    changed = []
    # From the end, so that a batch norm in front of another one meets the layer behind both.
    for node in reversed(graph.nodes):
        if node.op == "BatchNormalization" and not folds_back(graph, graph.node(node.name)):
            new = _fold(graph, graph.node(node.name))
            if new is not None:
                graph = new
                changed.append(node.name)
    return Rewrite(graph=graph, changed=tuple(changed))


def folds_back(graph: Graph, node) -> bool:
    """Return whether quantization will fold a batch norm into the layer before it."""
    positive = bool(np.all(batchnorm_factors(node)[0] >= 0))
    while node.op not in NEURAL:
        before = graph.node(node.inputs[0]) if node.inputs else None
        if before is None or graph.sole_consumer(before) is None:
            return False
        passes = before.op in ("BatchNormalization", "Dropout", "GlobalAveragePooling2D")
        if not (passes or before.op in NEURAL or (before.op == "MaxPooling2D" and positive)):
            return False
        node = before
    return True


def _fold(graph, batchnorm):
    scale, mean, beta = batchnorm_factors(batchnorm)
    scale, shift = np.asarray(scale, np.float32), np.asarray(beta - mean * scale, np.float32)
    if batchnorm.attrs["axis"] not in (-1, len(graph.shapes[batchnorm.name])):
        return None
    reader = graph.sole_consumer(batchnorm)
    while reader is not None and reader.op in PASSED:
        if reader.op == "MaxPooling2D" and np.any(scale < 0):
            return None
        before, after = graph.shapes[reader.inputs[0]], graph.shapes[reader.name]
        if before[-1] != after[-1]:
            if len(after) != 1:
                return None
            pixels = after[-1] // scale.size
            scale, shift = np.tile(scale, pixels), np.tile(shift, pixels)
        reader = graph.sole_consumer(reader)
    if reader is None or reader.op not in READERS or reader.attrs.get("groups", 1) != 1:
        return None
    padded = reader.attrs.get("padding") == "same" and reader.attrs["kernel_size"] != (1, 1)
    if (padded or reader.attrs.get("padding_value") is not None) and np.any(shift):
        return None
    new = absorb(reader, scale, shift)
    return removed(replaced(graph, {reader.name: new}), {batchnorm.name})


def absorb(node, scale, shift):
    """Return the layer that computes `node` of ``scale * x + shift``, channel by channel."""
    key = "depthwise_kernel" if node.op == "SeparableConv2D" else "kernel"
    kernel = node.weights[key]
    if node.op in ("DepthwiseConv2D", "SeparableConv2D"):
        scaled = kernel * scale[:, None]
        constant = (kernel.sum((0, 1)) * shift[:, None]).reshape(-1)
        if node.op == "SeparableConv2D":
            constant = constant @ node.weights["pointwise_kernel"][0, 0]
    else:
        scaled = kernel * scale[:, None]
        constant = (kernel * shift[:, None]).sum(tuple(range(kernel.ndim - 1)))
    bias = node.weights.get("bias", np.zeros(1, np.float32)) + constant
    return node.with_attrs(use_bias=True).with_weights(
        **{key: scaled.astype(np.float32), "bias": bias.astype(np.float32)}
    )
