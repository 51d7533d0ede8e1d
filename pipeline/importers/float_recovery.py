"""Recover a float model from a file that a vendor's quantizer wrote."""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.importers.cnn2snn_h5 import is_cnn2snn, whole_graph
from pipeline.importers.keras_float import float_graph
from pipeline.importers.keras_model import KerasModel
from pipeline.importers.quantizeml_h5 import calibrated_graph, is_quantizeml
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.equalization import undo


def recovered_graph(model: KerasModel) -> Graph:
    """Return the float model of a file, whether or not it was quantized.

    - cnn2snn: kernels with the values that the 1.0 tools compute with (integers over their
      factors), discrete activations as ``QuantizedReLU``: the same outputs as that tool's model.
      The transform ``continuous_activations`` makes ordinary ReLUs of them.
    - QuantizeML: the float kernels in the file, its cross-layer equalization taken back. What
      only quantization knows (ranges, widths) is left behind.

    Raises
    ------
    IncompatibleModelError
        When something in the file has no float counterpart; all of it is listed.
    """
    if is_quantizeml(model):
        return _from_quantizeml(calibrated_graph(model), model.label)
    if is_cnn2snn(model):
        return whole_graph(model).fake_quantized()
    return float_graph(model)


def _from_quantizeml(calibrated: CalibratedGraph, label) -> Graph:
    rates = {
        name: (np.asarray(known.output.rescaling_rate, np.float32), known.output.per_tensor)
        for name, known in calibrated.nodes.items()
        if known.output is not None
    }
    graph, reasons = undo(calibrated.graph, rates)
    for name, known in calibrated.nodes.items():
        value = known.padding_value
        if value is not None and np.any(value) and graph.node(name).attrs["padding"] == "same":
            graph = _padded_with_zeros(graph, name, value)
    if reasons:
        raise IncompatibleModelError(label, reasons, "recover the float model")
    for name, op, attrs in calibrated.float_tail:
        node = make_node(name, op, (graph.output,), attrs)
        graph = graph.with_nodes((*graph.nodes, node), name)
    return graph


def _padded_with_zeros(graph, name, value):
    """Return the graph with a convolution whose padding means ``value`` before a shift."""
    node = graph.node(name)
    source, kernel = graph.node(node.inputs[0]), node.weights["kernel"]
    shift = np.broadcast_to(value, kernel.shape[2:3]).astype(np.float64)
    bias = np.einsum("ijcf,c->f", kernel.astype(np.float64), shift) + node.weights.get("bias", 0)
    offset = float(value[0]) if np.ptp(value) == 0 else tuple(map(float, value))
    node = node.with_attrs(use_bias=True).with_weights(bias=bias.astype(np.float32))
    if source.op == "Rescaling" and graph.sole_consumer(source) is not None:
        total = np.subtract(source.attrs["offset"], offset)
        total = float(total) if total.ndim == 0 else tuple(map(float, total))
        changed = {name: [node], source.name: [source.with_attrs(offset=total)]}
    else:
        shifted = graph.fresh_name(f"{name}/shift")
        moved = np.negative(offset)
        moved = float(moved) if moved.ndim == 0 else tuple(map(float, moved))
        inner = make_node(shifted, "Rescaling", node.inputs, {"scale": 1.0, "offset": moved})
        changed = {name: [inner, node.with_inputs(shifted)]}
    nodes = [new for old in graph.nodes for new in changed.get(old.name, [old])]
    return graph.with_nodes(nodes)
