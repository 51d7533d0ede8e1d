"""Fold batch norms after activations into the next layer."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.graph.traits import CONVOLUTIONS, KEEPS_VALUES, NEURAL
from pipeline.preparation.editing import removed, replaced
from pipeline.transforms.rewrite import Rewrite

PASSED = (*KEEPS_VALUES, "GlobalAveragePooling2D", "MaxPooling2D")
"""Operations that commute with a batch norm; a maximum only if its scales are positive."""
CONSUMERS = (*CONVOLUTIONS, "Dense")


def fold_batchnorm_forward(graph: Graph) -> Rewrite:
    """Fold batch norms that no layer before them absorbs into the next layer.

    The next layer is a Dense, a 1x1 convolution or a convolution with padding 'valid'. With padding
    'same' only batch norms without a shift are folded, because padding is not shifted. Other batch
    norms are kept.
    """
    changed = []
    # From the end, so that two successive batch norms both reach the layer after them.
    for node in reversed(graph.nodes):
        if node.op == "BatchNormalization" and not folds_back(graph, graph.node(node.name)):
            new = _fold(graph, graph.node(node.name))
            if new is not None:
                graph = new
                changed.append(node.name)
    return Rewrite(graph=graph, changed=tuple(changed))


def folds_back(graph: Graph, node) -> bool:
    """Return True if quantization folds a batch norm into the layer before it."""
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
    consumer = graph.sole_consumer(batchnorm)
    while consumer is not None and consumer.op in PASSED:
        if consumer.op == "MaxPooling2D" and np.any(scale < 0):
            return None
        before, after = graph.shapes[consumer.inputs[0]], graph.shapes[consumer.name]
        if before[-1] != after[-1]:
            if len(after) != 1:
                return None
            pixels = after[-1] // scale.size
            scale, shift = np.tile(scale, pixels), np.tile(shift, pixels)
        consumer = graph.sole_consumer(consumer)
    if consumer is None or consumer.op not in CONSUMERS or consumer.attrs.get("groups", 1) != 1:
        return None
    padded = consumer.attrs.get("padding") == "same" and consumer.attrs["kernel_size"] != (1, 1)
    if (padded or consumer.attrs.get("padding_value") is not None) and np.any(shift):
        return None
    new = absorb(consumer, scale, shift)
    return removed(replaced(graph, {consumer.name: new}), {batchnorm.name})


def absorb(node, scale, shift):
    """Return the layer that computes `node` on ``scale * x + shift`` per channel."""
    operation = node.operation
    key = operation.input_kernel
    kernel = node.weights[key]
    scaled = kernel * operation.per_input(kernel, scale)
    if node.op in ("DepthwiseConv2D", "SeparableConv2D"):
        constant = (kernel.sum((0, 1)) * shift[:, None]).reshape(-1)
        if node.op == "SeparableConv2D":
            constant = constant @ node.weights["pointwise_kernel"][0, 0]
    else:
        constant = (kernel * shift[:, None]).sum(tuple(range(kernel.ndim - 1)))
    bias = node.weights.get("bias", np.zeros(1, np.float32)) + constant
    return node.with_attrs(use_bias=True).with_weights(
        **{key: scaled.astype(np.float32), "bias": bias.astype(np.float32)}
    )
