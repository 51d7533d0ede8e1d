"""Convert a legacy (1.0) graph to integers: kernels, and the unit of each tensor.

Thresholds are specific to the chip and computed by its lowering; here biases stay float.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.node import Node
from pipeline.graph.traits import KEEPS_VALUES
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.quantized_graph import Format, QuantizedGraph, QuantizedNode
from simulator.refusal import Refusal

LAYERS = ("Conv2D", "Dense", "SeparableConv2D")
"""Layers with weights that the scheme supports."""
SAME_UNIT = ("MaxPooling2D", "GlobalAveragePooling2D", *KEEPS_VALUES)
"""Operations with equal units of input and output."""


def integerize_legacy(legacy: LegacyGraph) -> QuantizedGraph:
    """Return the integer model of a legacy graph.

    Parameters
    ----------
    legacy : LegacyGraph

    Returns
    -------
    QuantizedGraph
        Scheme ``cnn2snn``. Kernels are int8 registers with their float32 ``<kernel>_factor``;
        ``bias`` is float32; a QuantizedReLU becomes a ``ReLU`` with a float32 ``step``.

    Raises
    ------
    IncompatibleModelError
        If the scheme does not support a layer; names all of them.
    """
    graph = legacy.graph
    known = (*LAYERS, *SAME_UNIT, "Input", "Rescaling", "QuantizedReLU")
    refusals = [
        Refusal(
            layers=(node.name,),
            found=f"{node.op} is not part of the scheme cnn2snn",
            allowed=", ".join(known),
            rule="scheme_layer",
        )
        for node in graph.nodes
        if node.op not in known
    ]
    for rule in (_rescaling, _no_activation):
        refusals += [refusal for node in graph.nodes if (refusal := rule(node, graph))]
    if not any(node.op in LAYERS for node in graph.nodes):
        refusals.append(Refusal(found="it has no layer with weights"))
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "quantize by the scheme cnn2snn")
    formats: dict[str, Format] = {}
    nodes = []
    for node in graph.nodes:
        given = formats[node.inputs[0]] if node.inputs else None
        nodes.append(integer_node(legacy, node, given))
        formats[node.name] = nodes[-1].format
    return QuantizedGraph(
        name=graph.name,
        scheme="cnn2snn",
        nodes=tuple(nodes),
        output=graph.output,
        notes=legacy.notes,
    )


def integer_node(legacy: LegacyGraph, node: Node, given: Format | None) -> QuantizedNode:
    """Return the integer form of one node.

    Parameters
    ----------
    legacy : LegacyGraph
    node : Node
        Of its graph.
    given : Format or None
        Of the node's input.
    """
    registers, bits, op = {}, {}, node.op
    if op == "Input":
        output = _format(legacy.input_bits, 1.0)
    elif op == "Rescaling":
        output = _format(legacy.input_bits, node.attrs["scale"])
    elif op == "QuantizedReLU":
        op, bits = "ReLU", {"output": node.attrs["bits"], "output_signed": 0}
        step = np.float32(node.attrs["max_value"] / (2 ** node.attrs["bits"] - 1))
        registers["step"] = np.asarray(step)
        output = _format(bits["output"], step)
    elif op in LAYERS:
        registers, bits, factor = _kernels(legacy, node)
        if "bias" in node.weights:
            registers["bias"] = node.weights["bias"]
        output = _format(31, given.scales / factor)
    else:
        output = given
    return QuantizedNode(
        name=node.name,
        op=op,
        inputs=node.inputs,
        attrs=dict(node.attrs),
        registers=registers,
        bits=bits,
        format=output,
        shape=legacy.graph.shapes[node.name],
        rate=legacy.rates.get(node.name),
    )


def _kernels(legacy, node) -> tuple[dict, dict, np.ndarray]:
    """Return a layer's integer kernels with their factors, their widths, and the whole factor."""
    registers, bits, factor = {}, {}, np.float64(1)
    for name in node.operation.kernels:
        quantizer = legacy.quantizers[node.name, name]
        registers[name] = quantizer.integers(node.weights[name])
        registers[f"{name}_factor"] = quantizer.factor(node.weights[name])
        factor = factor * registers[f"{name}_factor"]
        bits["depthwise_weights" if name == "depthwise_kernel" else "weights"] = quantizer.bits
    return registers, bits, factor


def _rescaling(node, graph) -> Refusal | None:
    """Return why a Rescaling cannot be folded into the first layer's threshold."""
    if node.op != "Rescaling":
        return None
    scale, offset = node.attrs["scale"], node.attrs["offset"]
    if node.inputs[0] != graph.input.name:
        found, allowed = f"Rescaling follows {node.inputs[0]}", "directly after the input"
    elif np.ndim(scale) or np.ndim(offset) or not scale > 0:
        found = f"Rescaling by {scale}, offset {offset}"
        allowed = "one positive scale and one offset for all channels on Akida 1.0"
    else:
        return None
    return Refusal(layers=(node.name,), found=found, allowed=allowed, rule="scheme_rescaling")


def _no_activation(node, graph) -> Refusal | None:
    """Return why a layer cannot read the unquantized output of another one."""
    if node.op not in LAYERS:
        return None
    source = graph.skip_back(node.inputs[0], SAME_UNIT)
    if source.op not in LAYERS:
        return None
    return Refusal(
        layers=(source.name,),
        found=f"no activation before {node.name}",
        allowed="a ReLU between them on Akida 1.0",
        rule="scheme_activation",
    )


def _format(value_bits: int, scales) -> Format:
    return Format(
        value_bits=value_bits,
        frac_bits=np.asarray(0, np.int64),
        scales=np.asarray(scales, np.float32),
    )
