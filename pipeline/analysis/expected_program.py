"""Registers of a program that the float model does not give: make the program again.

Its bit widths and the units of its tensors determine every register. What differs was changed
afterwards, by refinement or by a fault.
"""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np

from pipeline.analysis.expected import INSIDE, differences, factors_of, refitted
from pipeline.chips import chip, convert
from pipeline.chips.blocks import View
from pipeline.config import Quantization
from pipeline.config.layer_widths import LayerWidths
from pipeline.errors import CrossgradeError
from pipeline.graph.graph import Graph
from pipeline.quantization.assignment import LUT_INPUT_BITS, assign
from pipeline.quantization.calibrated_graph import CalibratedGraph, NodeQuantization
from pipeline.quantization.factors import ONE, divide_kernels
from pipeline.quantization.integerize import integerize
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.schemes import cnn2snn
from simulator import Program
from simulator.layer import Layer
from simulator.origin import Origin


def unexpected_in_program(graph: Graph, program: Program) -> dict[str, list[str]]:
    """Return, by layer, a sentence for every register that differs from the float model's.

    Not examined are programs with float images, trained ones, those of another scheme than the
    chip's own, and look-up tables.

    Parameters
    ----------
    graph : Graph
        Prepared float graph, with the layers of the program.
    program : Program
        With the units of its tensors.
    """
    origin = program.origin
    own = origin.scheme == chip(program.target).schemes[0]
    if program.input_dtype == "float32" or origin.trained or not own:
        return {}
    try:
        wanted = convert(REMADE[origin.scheme](graph, program), program.target)
    except CrossgradeError:
        return {}
    computing = [layer for layer in program.layers if layer.macs]
    fitted = refitted(layer.weight_bits for layer in computing) if origin.refined else None
    found = {}
    for layer in computing:
        if getattr(layer, "lut_values", None) is None:
            other = wanted.by_name[layer.name]
            found[layer.name] = list(differences(_record(layer), _record(other), fitted))
    return {name: sentences for name, sentences in found.items() if sentences}


def _record(layer: Layer) -> SimpleNamespace:
    """Return a layer's registers and other settings, as a node of a quantized model has them."""
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    arrays = {key for key, value in values.items() if isinstance(value, np.ndarray)}
    return SimpleNamespace(
        # Channels of one scale have no shift, or one of 0.
        registers={k: values[k] for k in arrays if k != "input_shift" or values[k].any()},
        attrs={k: v for k, v in values.items() if k not in arrays and v is not None},
    )


def _legacy(graph: Graph, program: Program) -> QuantizedGraph:
    """Return the integer model by the scheme of Akida 1.0, which its widths determine."""
    view, layers, widths = View(graph, graph), {}, program.by_name
    for block in view.blocks:
        layer = widths[block.name]
        layers[block.name] = LayerWidths(weight_bits=layer.weights_bits)
        if relu := block.member("ReLU"):
            layers[relu.name] = LayerWidths(activation_bits=layer.act_bits)
    options = Quantization(scheme="cnn2snn", refine="none", layers=layers)
    return integerize_legacy(cnn2snn.discrete(graph, options, (), graph))


def _calibrated(graph: Graph, program: Program) -> QuantizedGraph:
    """Return the integer model with the formats of the program's tensors."""
    view, nodes = View(graph, graph), {}
    assigned = assign(graph, Quantization()).nodes
    owners = {name: view.owner(graph.node(name)).name for name in assigned}
    rates = {
        name: program.origin.rates.get(owners[name], ONE)
        for name, node in assigned.items()
        if node.output is not None and node.output.bits != LUT_INPUT_BITS
    }
    factors = factors_of(graph, rates)
    for name, node in assigned.items():
        layer = program.by_name[owners[name]]
        padding = graph.node(name).attrs.get("padding_value")
        head = name == layer.name
        nodes[name] = replace(
            _with_formats(node, layer, program.origin, factors[name], head=head),
            padding_value=None if padding is None else np.atleast_1d(np.float32(padding)),
        )
    graph = divide_kernels(graph, factors)
    saturates = any(getattr(n, "input_value_bits", None) is not None for n in program.layers)
    return integerize(CalibratedGraph(graph=graph, nodes=nodes, flatten_saturates=saturates))


def _with_formats(
    node: NodeQuantization, layer: Layer, origin: Origin, factor: np.ndarray, *, head: bool
) -> NodeQuantization:
    if head:
        bits = getattr(layer, "weight_bits", None)
        node = replace(node, weight_bits=bits, buffer_bits=layer.buffer_bits)
    if node.output is None:
        return node
    if node.output.bits == LUT_INPUT_BITS:  # its range is not known; the layer is not compared
        return replace(node, output=replace(node.output, range_max=np.float32(1)))
    # Without the factor a unit is a power of two: 2**-frac_bits.
    unit = origin.units[layer.name] * factor.astype(np.float64)
    frac_bits = -np.rint(np.log2(unit)).astype(np.int64)
    if np.ptp(frac_bits) == 0:
        frac_bits = frac_bits.max()
    value_bits = layer.output_bits - layer.output_signed
    scales = layer.output_scales
    output = replace(
        node.output,
        bits=layer.output_bits,
        signed=layer.output_signed,
        per_tensor=frac_bits.ndim == 0,
        range_max=np.ldexp(np.float32(INSIDE), value_bits - frac_bits).astype(np.float32),
        rescaling_rate=origin.rates.get(layer.name, ONE),
        scale_bits=16 if scales is not None and scales.dtype == np.uint16 else 8,
        buffer_bits=layer.post_op_buffer_bits,
    )
    return replace(node, output=output)


REMADE = {"quantizeml": _calibrated, "cnn2snn": _legacy}
"""The function that makes the integer model of a program again, by scheme."""
