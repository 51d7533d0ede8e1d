"""Carry the saturation of quantized activations into a float model.

A quantized output cannot exceed its container. A model that was trained through its quantizers
relies on that: a value above the calibrated range means the largest code, and a Flatten that aligns
channels inside the container (QuantizeML) cuts every channel at the range of the smallest octave.
In float a bounded ReLU does the same. Its bound is one number, the containers' bounds differ from
channel to channel: a factor per channel on the layer before, taken back by the layer after, makes
them equal. Factors pass a ReLU and a pooling unchanged, because they are positive.
"""

from __future__ import annotations

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
    """Largest value and step of a quantized output, per channel, in the float model's units."""

    largest: np.ndarray
    step: np.ndarray


def carry_saturation(graph: Graph, calibrated: CalibratedGraph) -> Graph:
    """Return the float model whose ReLUs end where the quantized ones do.

    Parameters
    ----------
    graph : Graph
        Float, its equalization taken back; nodes named as in `calibrated`.
    calibrated : CalibratedGraph
        The quantized model.

    Returns
    -------
    Graph
        A ReLU whose container holds its whole range is left as it is. So is one where no factor
        per channel can be moved into the layers around it (several consumers, or an addition);
        whoever recovers a model compares it with the file.
    """
    for name, known in calibrated.nodes.items():
        node = graph.node(name)
        if node.op == "ReLU" and known.output is not None:
            graph = _bounded(graph, node, _container(graph, name, known.output, calibrated))
    return graph


def _container(graph, name, quantizer: OutputQuantizer, calibrated) -> _Container:
    value_bits = quantizer.bits - quantizer.signed
    frac_bits = max_frac_bits(value_bits, quantizer.range_max)
    if calibrated.flatten_saturates and _is_flattened(graph, name):
        frac_bits = np.broadcast_to(np.max(frac_bits), np.shape(frac_bits))
    step = np.exp2(-frac_bits.astype(np.float64)) / quantizer.rescaling_rate
    return _Container(largest=(2**value_bits - 1) * step, step=step)


def _is_flattened(graph, name):
    """Return True if all that is made of a tensor is its flattened form."""
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
        # Half a step is what rounding to the largest code accounts for.
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
    """Return the layer whose filters can take over a factor per channel, or None."""
    (node,) = graph.producers(relu)
    while node.op in ("MaxPooling2D", "Dropout") and graph.sole_consumer(node) is not None:
        (node,) = graph.producers(node)
    alone = graph.sole_consumer(node) is not None
    return node if alone and node.op in _PRODUCERS else None


def _replaced(graph, *nodes):
    changed = {node.name: node for node in nodes}
    return graph.with_nodes(changed.get(node.name, node) for node in graph.nodes)
