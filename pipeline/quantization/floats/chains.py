"""Nodes that pass on the sums of a layer, up to the one whose output is quantized or a float.

A layer's scales are those of its sums, and so of all nodes of its chain.
"""

from __future__ import annotations

import math

import numpy as np

from pipeline.graph.traits import NEURAL
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.walk import ONE

AVERAGE = "GlobalAveragePooling2D"


def is_end(node: QuantizedNode) -> bool:
    """Return True if the node ends a chain."""
    return "output_shift" in node.registers or node.op == "Dequantizer"


def chain_after(quantized: QuantizedGraph, node: QuantizedNode) -> tuple[QuantizedNode, ...]:
    """Return a node and those after it up to the end of its chain.

    The last one is no end if the sums have several consumers.
    """
    found = [node]
    while not is_end(found[-1]) and len(consumers := quantized.consumers(found[-1])) == 1:
        found.append(consumers[0])
    return tuple(found)


def head_of(quantized: QuantizedGraph, node: QuantizedNode) -> QuantizedNode:
    """Return the node that computes the sums which `node` passes on."""
    while node.op not in NEURAL and len(node.inputs) == 1:
        source = quantized.node(node.inputs[0])
        if is_end(source) or not source.inputs or source.op == "Quantizer":
            break
        node = source
    return node


def takes_rates(quantized: QuantizedGraph, end: QuantizedNode) -> bool:
    """Return True if a node's quantizer may have a rate per channel: QuantizeML's is for maps."""
    return len(end.shape) == 3 and not any(
        _takes_one_scale(end, node) for node in quantized.consumers(end)
    )


def _takes_one_scale(end, consumer) -> bool:
    """Return True for a table, whose index has one scale, and where channels may be spread."""
    spread = consumer.op == "Reshape" and consumer.shape[-1] != end.shape[-1]
    return consumer.op == "Activation" or spread


def end_frac_bits(chain: tuple[QuantizedNode, ...], frac_bits: np.ndarray) -> np.ndarray:
    """Return the fractional bits of sums at the end of a chain; an average aligns channels."""
    frac_bits = np.asarray(frac_bits)
    return frac_bits.max() if any(node.op == AVERAGE for node in chain) else frac_bits


def average_factor(quantized: QuantizedGraph, chain: tuple[QuantizedNode, ...]) -> np.float32:
    """Return the factor of the scales of a chain that averages; 1 if it does not."""
    pooled = [node for node in chain if node.op == AVERAGE]
    pixels = math.prod(math.prod(quantized.shapes[node.inputs[0]][:2]) for node in pooled)
    return ONE / np.float32(pixels)
