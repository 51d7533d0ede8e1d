"""Assign quantizers to nodes: bit widths and axes, before calibration.

The rules are those of QuantizeML 1.2.5 (``quantize``): the output quantizer of a block belongs to
its last node, before a node whose inputs must share one scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.graph.traits import JOINS, MOVES_ONLY, NEURAL, TEMPORAL
from pipeline.messages.settings import setting
from pipeline.preparation.support import ZERO_POINT_OPS
from pipeline.quantization.calibrated_graph import (
    InputQuantizer,
    NodeQuantization,
    OutputQuantizer,
)
from pipeline.quantization.layer_choices import ACTIVATION, OUTPUT, WEIGHTS, LayerChoices
from simulator.refusal import Refusal

ALIGNED_INPUTS = (*NEURAL, *JOINS, "Flatten", "Permute", "Activation")
"""Operations whose inputs must be quantized and aligned."""

PASS_THROUGH = (*MOVES_ONLY, "Rescaling")
"""Operations that cannot rescale: the quantizer belongs to an earlier node."""

NEURAL_BUFFER_BITS = 28
LUT_INPUT_BITS = 11
LUT_BITS = 14
_WIDE_NEURAL_OPS = ("SeparableConv2D", *TEMPORAL)
_BUFFERED_OPS = (*NEURAL, "Add", "ReLU", "GlobalAveragePooling2D", "Activation")


@dataclass(frozen=True, eq=False, kw_only=True)
class Assignment:
    """The quantizers of a graph, without ranges.

    Attributes
    ----------
    nodes : mapping of str to NodeQuantization
        One entry for every node that computes, in the graph's order.
    input : InputQuantizer or None
        For float images; None for integer images.
    """

    nodes: Mapping[str, NodeQuantization]
    input: InputQuantizer | None = None

    @property
    def outputs(self) -> dict[str, OutputQuantizer]:
        """The output quantizers by node."""
        return {name: node.output for name, node in self.nodes.items() if node.output is not None}


def assign(graph: Graph, options, source: Graph | None = None) -> Assignment:
    """Return the bit widths and quantizers of every node.

    Parameters
    ----------
    graph : Graph
        Prepared graph: batch norms folded, activations split, at most two inputs per node.
    options : Quantization
        The ``quantization`` section of the configuration.
    source : Graph, optional
        The model before preparation, whose layers ``options.layers`` may name.

    Raises
    ------
    IncompatibleModelError
        If a layer that reads float images cannot absorb their zero point, a last node cannot
        quantize its output to ``last_output_bits``, or a choice for single layers selects nothing.
    """
    choices = LayerChoices(options.layers, graph, source)
    outputs, refusals = _output_quantizers(graph, options, choices), []
    if options.last_output_bits:
        refusals += _quantize_last(graph, options, outputs)
    quantizer = None
    if not graph.input.attrs["dtype"].startswith(("uint", "int")):
        vector = len(graph.input.attrs["shape"]) < 2
        quantizer = InputQuantizer(per_tensor=options.per_tensor_activations or vector)
        refusals += _refuse_zero_point(graph)
    nodes = _nodes(graph, options, outputs, choices)
    refusals += choices.refusals()
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "quantize")
    return Assignment(nodes=nodes, input=quantizer)


def _nodes(graph, options, outputs, choices):
    neural = [node.name for node in graph.nodes if node.op in NEURAL]
    nodes = {}
    for node in graph.nodes:
        if node.op not in _BUFFERED_OPS:
            continue
        weight_bits, buffer_bits = None, options.buffer_bits
        if node.op in NEURAL:
            first = node.name == neural[0]
            weight_bits = options.input_weight_bits if first else options.weight_bits
            weight_bits = choices.bits(node, WEIGHTS, weight_bits)
            if node.op not in _WIDE_NEURAL_OPS:
                buffer_bits = min(NEURAL_BUFFER_BITS, buffer_bits)
        nodes[node.name] = NodeQuantization(
            weight_bits=weight_bits,
            buffer_bits=buffer_bits,
            output=outputs.get(node.name),
            lut_bits=LUT_BITS if node.op == "Activation" else None,
        )
    return nodes


def block_ends(graph: Graph, name: str) -> list[str]:
    """Return the nodes whose quantizers apply to the inputs of `name`."""
    ends = []
    for producer in graph.producers(name):
        if producer.op in PASS_THROUGH:
            ends += block_ends(graph, producer.name)
        elif producer.op != "Input":
            ends.append(producer.name)
    return ends


def _output_quantizers(graph, options, choices):
    outputs: dict[str, OutputQuantizer] = {}
    # Backwards: if consumers need different bit widths, the last one decides, as in QuantizeML.
    for consumer in reversed(graph.nodes):
        if consumer.op not in ALIGNED_INPUTS:
            continue
        for name in block_ends(graph, consumer.name):
            shape = graph.shapes[name]
            per_tensor = (
                options.per_tensor_activations
                or math.prod(shape) == shape[-1]
                or consumer.op == "Activation"
            )
            if name not in outputs:
                outputs[name] = _quantizer(graph, name, consumer, options, choices, per_tensor)
            elif per_tensor:
                outputs[name] = replace(outputs[name], per_tensor=True)
    return outputs


def _quantizer(graph, name, consumer, options, choices, per_tensor):
    node = graph.node(name)
    if consumer.op == "Activation" and node.op not in ("ReLU", "Activation"):
        bits = LUT_INPUT_BITS
    elif _activated(graph, node):
        bits = choices.bits(node, ACTIVATION, options.activation_bits)
    else:
        bits = choices.bits(node, OUTPUT, options.output_bits)
    return OutputQuantizer(
        bits=bits,
        signed=node.op != "ReLU" or bits >= 8,
        per_tensor=per_tensor,
        buffer_bits=options.buffer_bits,
    )


def _activated(graph, node) -> bool:
    """Return whether a node gives the output of an activation, or its global average."""
    if node.op == "GlobalAveragePooling2D":
        before = block_ends(graph, node.name)
        return bool(before) and graph.node(before[0]).op in ("ReLU", "Activation")
    return node.op in ("ReLU", "Activation")


def _quantize_last(graph, options, outputs):
    """Assign the output nodes' quantizers; return the refusals of those that cannot have one."""
    bits, refusals = options.last_output_bits, []
    for last in graph.ends:
        if last.op in PASS_THROUGH or last.op == "Input":
            refusal = Refusal(
                layers=(last.name,),
                found=f"{last.op} cannot quantize its output",
                allowed="a layer that computes",
                fix=f"use {setting('quantization.last_output_bits', None)}, or end the model"
                " before it",
            )
            refusals.append(refusal)
            continue
        outputs[last.name] = OutputQuantizer(
            bits=bits,
            per_tensor=True,
            scale_bits=16 if bits >= 16 else 8,
            buffer_bits=options.buffer_bits,
        )
    return refusals


def first_layer(graph: Graph):
    """Return the node that reads the images or their rescaling; None if there are several."""
    return graph.skip_ahead(graph.input, ("Rescaling",))


def _refuse_zero_point(graph):
    node = first_layer(graph)
    if node is not None and node.op in ZERO_POINT_OPS:
        return []
    found = "several layers" if node is None else f"{node.name} ({node.op})"
    refusal = Refusal(
        layers=(graph.input.name,),
        found=f"float images go to {found}",
        allowed=f"{', '.join(ZERO_POINT_OPS)}, whose bias absorbs the zero point",
        fix="make the model's input uint8 (a Rescaling layer may follow)",
    )
    return [refusal]
