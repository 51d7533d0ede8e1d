"""Fold batch norms into the kernels and biases before them."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.graph.traits import NEURAL
from pipeline.preparation.constant_channels import (
    LARGEST_CONSTANT,
    constant_channels,
    obstacle_to_moving,
)
from pipeline.preparation.editing import pairs, removed, replaced
from pipeline.preparation.obstacle import Obstacle


def fold_batchnorm(graph: Graph) -> Graph:
    """Fold every BatchNormalization that is the only consumer of a layer with a kernel.

    With g = gamma / sqrt(variance + epsilon), the kernel of each output channel is multiplied by g,
    and the bias becomes beta + (bias - mean) * g. A channel whose gamma is 0 gets a kernel of
    zeros: its output is beta, which must be small; otherwise the batch norm is kept and
    `unsupported` names it. (QuantizeML folds no batch norm of a model in which one gamma is 0.)
    `pipeline.preparation.constant_channels` sets most such betas to 0 before. Successive batch
    norms are all folded.
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
    """Return one layer that computes `node` followed by `batchnorm`."""
    scale, mean, beta = batchnorm_factors(batchnorm)
    key = node.operation.output_kernel
    kernel = node.weights[key] * node.operation.per_output(node.weights[key], scale)
    bias = beta + (node.weights.get("bias", 0) - mean) * scale
    return node.with_attrs(use_bias=True).with_weights(**{key: kernel, "bias": bias})


def batchnorm_obstacle(graph: Graph, batchnorm: Node) -> Obstacle:
    """Return why `batchnorm`, which the passes have kept, cannot be folded."""
    source, fix = graph.node(batchnorm.inputs[0]), "move it before the activation and retrain"
    negative = int(np.sum(batchnorm_factors(batchnorm)[0] < 0))
    if source.op in NEURAL and constant_channels(batchnorm).any():
        return Obstacle(
            f"has gamma 0 and a beta beyond {LARGEST_CONSTANT} in"
            f" {int(constant_channels(batchnorm).sum())} of its channels, which"
            f" {obstacle_to_moving(graph, batchnorm)}",
            "gammas other than 0, as integers cannot hold the constant next to a kernel of zeros",
            "prune these filters",
        )
    if batchnorm.attrs["axis"] not in (-1, len(graph.shapes[batchnorm.name])):
        return Obstacle(f"normalises axis {batchnorm.attrs['axis']}", "the last (channels)", fix)
    if len(graph.consumers(source)) > 1:
        found = f"shares its input {source.name} with other layers"
        return Obstacle(found, "an input of its own", fix)
    if source.op == "MaxPooling2D" and negative:
        return Obstacle(
            f"follows the max pool {source.name} and has {negative} negative gammas",
            "none, as a negative factor turns a maximum into a minimum",
            fix,
        )
    return Obstacle(
        f"follows {source.name} ({source.op})",
        "directly after a convolution, a dense layer or their pool",
        fix,
    )
