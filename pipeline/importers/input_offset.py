"""Undo the offset that a quantizer added to a model's inputs.

An unsigned integer holds no negative values, so QuantizeML shifts float images by their calibrated
minimum, and folds the offset of a Rescaling; the bias of the first layer compensates the shift, and
its 'same' padding uses the shifted zero. A float model pads with 0.
"""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.quantization.assignment import first_layer
from pipeline.quantization.calibrated_graph import CalibratedGraph


def without_input_offset(graph: Graph, calibrated: CalibratedGraph) -> Graph:
    """Return the graph for unshifted inputs, whose first layer pads with 0.

    Parameters
    ----------
    graph : Graph
        Float layers as stored in the file.
    calibrated : CalibratedGraph
        The quantized model, whose input quantizer and padding value determine the shift.
    """
    node = first_layer(graph)
    if node is None or "kernel" not in node.weights:
        return graph
    moved = _input_offset(graph, calibrated, node.weights["kernel"])
    padding = getattr(calibrated.nodes.get(node.name), "padding_value", None)
    if padding is None:
        return _replaced(graph, _with_bias(node, moved)) if np.any(moved) else graph
    # The layer reads x + moved and pads with `padding`; x + rest padded with 0 gives the same sums,
    # minus the padding's sum over each window.
    graph = _replaced(graph, _with_bias(node, padding))
    rest = np.asarray(moved - padding, np.float64)
    return _with_input_offset(graph, graph.node(node.name), rest) if np.any(rest) else graph


def _input_offset(graph, calibrated, kernel) -> np.ndarray:
    """Return the shift of each channel of the first layer's input."""
    quantizer = calibrated.input
    if quantizer is None or quantizer.signed:
        return np.zeros(())
    offset = -np.asarray(quantizer.range_min, np.float64)
    node = graph.sole_consumer(graph.input)
    while node.op == "Rescaling":
        offset, node = (
            offset * np.asarray(node.attrs["scale"], np.float64),
            graph.sole_consumer(node),
        )
    return offset


def _with_bias(node: Node, offset) -> Node:
    """Return a layer whose bias includes the contribution of a constant input."""
    kernel = node.weights["kernel"].astype(np.float64)
    rows = kernel.shape[-2]
    # The kernel of a temporal convolution holds the channels of several frames in sequence.
    per_row = np.resize(np.asarray(offset, np.float64), rows).reshape(-1, 1)
    bias = (kernel * per_row).sum(axis=tuple(range(kernel.ndim - 1)))
    bias = bias + node.weights.get("bias", 0)
    return node.with_attrs(use_bias=True).with_weights(bias=bias.astype(np.float32))


def _with_input_offset(graph, node, offset):
    """Return the graph with an offset added in the Rescaling before a layer, or in a new one."""
    source = graph.node(node.inputs[0])
    if source.op == "Rescaling" and graph.sole_consumer(source) is not None:
        total = _number(np.add(source.attrs["offset"], offset))
        return _replaced(graph, source.with_attrs(offset=total))
    name = graph.part_name(node.name, "shift")
    attrs = {"scale": 1.0, "offset": _number(offset)}
    chain = [make_node(name, "Rescaling", node.inputs, attrs), node.with_inputs(name)]
    nodes = [new for old in graph.nodes for new in (chain if old.name == node.name else [old])]
    return graph.with_nodes(nodes)


def _number(values):
    """Return one float if all channels are equal, else a tuple."""
    values = np.asarray(values, np.float64)
    one = values.ndim == 0 or np.ptp(values) == 0
    return float(values.flat[0]) if one else tuple(map(float, values))


def _replaced(graph, node):
    return graph.with_nodes(node if old.name == node.name else old for old in graph.nodes)
