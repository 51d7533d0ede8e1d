"""Fold batch norms with gamma 0 in some channels."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.traits import NEURAL
from pipeline.preparation import constant_channels
from pipeline.preparation.batchnorm import folded
from pipeline.preparation.editing import pairs, removed, replaced
from pipeline.transforms.rewrite import Rewrite


def fold_constant_channels(graph: Graph) -> Rewrite:
    """Move the constants of channels with gamma 0 into later biases, and fold the batch norm.

    Quantization does the same; the vendor's tools do not fold a batch norm with a gamma of 0. See
    `pipeline.preparation.constant_channels`.
    """
    moved = constant_channels.fold_constant_channels(graph)
    found = {
        layer.name: (layer, batchnorm)
        for layer, batchnorm in pairs(moved, NEURAL, ("BatchNormalization",))
        if batchnorm is not graph.by_name.get(batchnorm.name)
        and constant_channels.constant_channels(graph.node(batchnorm.name)).any()
    }
    names = tuple(batchnorm.name for _, batchnorm in found.values())
    new = replaced(moved, {name: folded(*pair) for name, pair in found.items()})
    return Rewrite(graph=removed(new, set(names)), changed=names)
