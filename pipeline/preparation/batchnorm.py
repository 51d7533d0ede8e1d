"""Fold batch norms into the kernels and biases before them."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.graph.traits import NEURAL
from pipeline.preparation.constant_channels import constant_channels
from pipeline.preparation.editing import pairs, removed, replaced


def fold_batchnorm(graph: Graph) -> Graph:
    """Fold every BatchNormalization that alone reads a layer with a kernel.

    With g = gamma / sqrt(variance + epsilon), the kernel of each output channel is multiplied
    by g, and the bias becomes beta + (bias - mean) * g. A channel whose gamma is zero gets a
    kernel of zeros: its output is beta, which must be small; else the batch norm stays and
    `unsupported` names it. (QuantizeML folds no batch norm of the model if one gamma is zero.)
    `pipeline.preparation.constant_channels` makes most of them 0 before.
    Successive batch norms are all folded.
    """
    while True:
        found = dict(
            (first.name, (first, second))
            for first, second in pairs(graph, NEURAL, ("BatchNormalization",))
            if second.attrs["axis"] in (-1, len(graph.shapes[first.name]))
            and not constant_channels(second).any()
        )
        if not found:
            return graph
        graph = replaced(graph, {name: folded(*pair) for name, pair in found.items()})
        graph = removed(graph, {second.name for _, second in found.values()})


def folded(node: Node, batchnorm: Node) -> Node:
    """Return a layer that computes `node` followed by `batchnorm`."""
    scale, mean, beta = batchnorm_factors(batchnorm)
    key = "pointwise_kernel" if node.op == "SeparableConv2D" else "kernel"
    kernel = node.weights[key]
    if node.op in ("DepthwiseConv2D", "DepthwiseConv2DTranspose"):
        kernel = kernel * scale.reshape(kernel.shape[2:])
    elif node.op == "Conv2DTranspose":
        kernel = kernel * scale[:, None]
    else:
        kernel = kernel * scale
    bias = beta + (node.weights.get("bias", 0) - mean) * scale
    return node.with_attrs(use_bias=True).with_weights(**{key: kernel, "bias": bias})
