"""Carry the saturation of quantized activations over to a float model.

A quantized output cannot exceed its integer type. A model trained with its quantizers relies on
that: a value above the calibrated range becomes the largest code, and a Flatten that aligns
channels within the type (QuantizeML) clips every channel at the range of the smallest scale. In
float a bounded ReLU does the same. Its bound is one number, while the quantized bounds differ by
channel: a factor per channel on the layer before, undone by the layer after, makes them equal. ReLU
and pooling commute with the factors, which are positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.quantization.calibrated_graph import CalibratedGraph, OutputQuantizer
from pipeline.quantization.equalization import divide_kernel, next_layer, scale_filters
from pipeline.quantization.fixed_point import max_frac_bits

_PASSED = ("MaxPooling2D", "Dropout")
_PRODUCERS = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "DepthwiseConv2DTranspose", "Dense")


@dataclass(frozen=True, eq=False)
class _Container:
    """Largest value and step of a quantized output per channel, in the float model's units."""

    largest: np.ndarray
    step: np.ndarray


def carry_saturation(
    graph: Graph, calibrated: CalibratedGraph, factors: Mapping[str, np.ndarray]
) -> Graph:
    """Return the float model with the maxima of the quantized ReLUs.

    Parameters
    ----------
    graph : Graph
        Float model, its equalization undone; nodes have the names of those in `calibrated`.
    calibrated : CalibratedGraph
        The quantized model.
    factors : mapping of str to float32 array
        That its outputs have, see `pipeline.quantization.factors`.

    Returns
    -------
    Graph
        A ReLU whose integer type holds its whole range is not changed. Neither is one where no
        factor per channel can be moved into the layers around it (several consumers, or an
        addition); callers therefore compare the recovered model with the file.
    """
    for name, known in calibrated.nodes.items():
        node = graph.node(name)
        if node.op == "ReLU" and known.output is not None:
            container = _container(graph, name, known.output, calibrated, factors[name])
            graph = _bounded(graph, node, container)
    return graph


def _container(graph, name, quantizer: OutputQuantizer, calibrated, factor) -> _Container:
    value_bits = quantizer.bits - quantizer.signed
    frac_bits = max_frac_bits(value_bits, quantizer.range_max)
    if calibrated.flatten_saturates and _is_flattened(graph, name):
        frac_bits = np.broadcast_to(np.max(frac_bits), np.shape(frac_bits))
    step = np.exp2(-frac_bits.astype(np.float64)) / factor
    return _Container(largest=(2**value_bits - 1) * step, step=step)


def _is_flattened(graph, name):
    """Return True if every consumer of a tensor flattens it."""
    node = graph.sole_consumer(name)
    while node is not None and (node.op in _PASSED or _keeps_channels(graph, node)):
        node = graph.sole_consumer(node)
    return node is not None and node.op in ("Flatten", "Reshape")


def _keeps_channels(graph, node):
    if node.op != "Reshape":
        return False
    before, after = (graph.shapes[name] for name in (node.inputs[0], node.name))
    return before[-1] == after[-1]


def _bounded(graph, relu: Node, container: _Container) -> Graph:
    bound = relu.attrs["max_value"]
    bounds = container.largest
    if bound is not None:
        # Values up to half a step above the maximum round to the largest code.
        bounds = np.where(bounds + container.step / 2 < bound, bounds, bound)
    if bound is not None and np.all(bounds == bound):
        return graph
    top = float(np.max(bounds))
    if np.all(bounds == top):
        return _replaced(graph, relu.with_attrs(max_value=top))
    before, after = _producer(graph, relu), next_layer(graph, relu.name, per_tensor=False)
    if before is None or after is None:
        return graph
    factors = (top / bounds).astype(np.float32)
    return _replaced(
        graph,
        scale_filters(before, factors),
        relu.with_attrs(max_value=top),
        divide_kernel(after[0], factors, after[1]),
    )


def _producer(graph, relu):
    """Return the layer whose filters can absorb a factor per channel, or None."""
    (node,) = graph.producers(relu)
    while node.op in ("MaxPooling2D", "Dropout") and graph.sole_consumer(node) is not None:
        (node,) = graph.producers(node)
    alone = graph.sole_consumer(node) is not None
    return node if alone and node.op in _PRODUCERS else None


def _replaced(graph, *nodes):
    changed = {node.name: node for node in nodes}
    return graph.with_nodes(changed.get(node.name, node) for node in graph.nodes)
