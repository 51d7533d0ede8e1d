"""Recover a float model from a file written by a vendor's quantizer."""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.importers.cnn2snn_h5 import is_cnn2snn, whole_graph
from pipeline.importers.input_offset import without_input_offset
from pipeline.importers.keras_float import float_graph
from pipeline.importers.keras_model import KerasModel
from pipeline.importers.quantizeml_h5 import calibrated_graph, is_quantizeml
from pipeline.importers.saturation import carry_saturation
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.factors import divide_kernels, output_factors


def recovered_graph(model: KerasModel) -> Graph:
    """Return the float model of a float or quantized file.

    - cnn2snn: kernels with the values that the 1.0 tools compute with (integers over their
      factors), discrete activations as ``QuantizedReLU``: the same outputs as that tool's model.
      The transform ``continuous_activations`` replaces them by ReLUs.
    - QuantizeML: the float kernels in the file, with cross-layer equalization and input offset
      undone, and ReLUs whose maximum is where the quantized ones saturate. Ranges and bit widths of
      the quantization are dropped.

    Raises
    ------
    IncompatibleModelError
        If something in the file has no float counterpart; lists all of it.
    """
    if is_quantizeml(model):
        return from_calibrated(calibrated_graph(model), model.label)
    if is_cnn2snn(model):
        return whole_graph(model).fake_quantized()
    return float_graph(model)


def from_calibrated(calibrated: CalibratedGraph, label) -> Graph:
    """Return the float model of a file written by QuantizeML.

    Raises
    ------
    IncompatibleModelError
        If an equalization cannot be undone.
    """
    rates = {
        name: np.asarray(known.output.rescaling_rate, np.float32)
        for name, known in calibrated.nodes.items()
        if known.output is not None
    }
    factors, refusals = output_factors(calibrated.graph, rates)
    graph = divide_kernels(calibrated.graph, factors, undo=True)
    graph = without_input_offset(carry_saturation(graph, calibrated, factors), calibrated)
    if refusals:
        raise IncompatibleModelError(label, refusals, "recover the float model")
    for name, op, attrs in calibrated.float_tail:
        node = make_node(name, op, (graph.output,), attrs)
        graph = graph.with_nodes((*graph.nodes, node), name)
    return graph
