"""Rewrite a float graph into the form that quantization needs, with the same outputs."""

from __future__ import annotations

from functools import reduce

from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.messages.notes import PREPARED, Note
from pipeline.preparation.activations import leaky_to_table, split_activations
from pipeline.preparation.batchnorm import fold_batchnorm
from pipeline.preparation.constant_channels import fold_constant_channels
from pipeline.preparation.dropout import remove_dropout, remove_dropout_before_batchnorm
from pipeline.preparation.grouped import grouped_to_depthwise
from pipeline.preparation.head import cut_head
from pipeline.preparation.identities import (
    identity_after_image_block,
    identity_after_joins,
    identity_before_relu_gap,
    identity_for_equal_inputs,
    identity_for_many_consumers,
)
from pipeline.preparation.joins import split_joins
from pipeline.preparation.odd_kernels import odd_kernels
from pipeline.preparation.pooling_order import batchnorm_before_pool, max_pool_before_activation
from pipeline.preparation.rescaling import align_rescaling
from pipeline.preparation.reshapes import remove_reshapes
from pipeline.preparation.strided_depthwise import split_strided_depthwise
from pipeline.preparation.support import unsupported
from pipeline.preparation.verification import random_images, verified
from pipeline.preparation.zero_padding import fold_zero_padding

PASSES = (
    split_activations,
    leaky_to_table,
    remove_dropout_before_batchnorm,
    grouped_to_depthwise,
    remove_reshapes,
    fold_zero_padding,
    align_rescaling,
    max_pool_before_activation,
    batchnorm_before_pool,
    fold_constant_channels,
    fold_batchnorm,
    split_joins,
    odd_kernels,
    split_strided_depthwise,
    identity_before_relu_gap,
    identity_after_joins,
    identity_after_image_block,
    identity_for_equal_inputs,
    identity_for_many_consumers,
    remove_dropout,
)
"""All passes in order: those of QuantizeML, and the folding of constant channels.

Zero padding is folded first, so that later passes find convolutions next to their Rescaling and
poolings next to their activation; dropouts are removed last.
"""
PASSES_V1 = (
    split_activations,
    remove_dropout,
    remove_reshapes,
    fold_zero_padding,
    max_pool_before_activation,
    batchnorm_before_pool,
    fold_constant_channels,
    fold_batchnorm,
)
"""The passes for Akida 1.0 and its scheme cnn2snn: those that its converter applies before
lowering, and the folding of zero padding and constant channels."""


def outline(graph: Graph) -> Graph:
    """Return the graph that `prepare` returns, without verifying that its outputs are the same.

    Raises
    ------
    IncompatibleModelError
        If layers cannot be quantized for Akida 2.0; lists all of them.
    """
    graph = reduce(lambda before, change: change(before), PASSES, cut_head(graph)[0])
    if refusals := unsupported(graph):
        raise IncompatibleModelError(graph.name, refusals, "quantize for Akida 2.0")
    return graph


def prepare(graph: Graph) -> tuple[Graph, list[Note]]:
    """Return an equivalent graph that is ready to be quantized.

    A final softmax or sigmoid is cut off; every other pass is verified on random images.

    Parameters
    ----------
    graph : Graph
        Not modified. Layers keep their names.

    Returns
    -------
    graph : Graph
    notes : list of Note
        One for each pass that changed the graph.

    Raises
    ------
    IncompatibleModelError
        If layers cannot be quantized for Akida 2.0; lists all of them.
    ModelError
        If a pass changed the outputs.
    """
    outline(graph)
    graph, notes = cut_head(graph)
    samples = random_images(graph)
    for change in PASSES:
        before, graph = graph, verified(change, graph, samples)
        if graph is not before:
            notes.append(_note(change, before, graph))
    return graph, notes


def _note(change, before, after):
    gone = [node.name for node in before.nodes if node.name not in after.by_name]
    new = [node.name for node in after.nodes if node.name not in before.by_name]
    same = [
        node.name
        for node in after.nodes
        if (old := before.by_name.get(node.name))
        and (old.op, dict(old.attrs)) != (node.op, dict(node.attrs))
    ]
    parts = [
        f"{verb} {', '.join(names[:3])}{f' and {len(names) - 3} more' * (len(names) > 3)}"
        for verb, names in (("removed", gone), ("added", new), ("rewrote", same))
        if names
    ]
    text = f"{change.__name__.replace('_', ' ')}: {'; '.join(parts) or 'reordered layers'}"
    return Note(kind=PREPARED, layers=(*gone, *new, *same), text=text)
