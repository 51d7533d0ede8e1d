"""What training moves of an integer model of Akida 2.0, within what the vendor's formats hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from pipeline.graph.traits import DEPTHWISE, NEURAL
from pipeline.quantization.floats.chains import chain_after, head_of, takes_rates
from pipeline.quantization.floats.held import held_scales, moves_freely
from pipeline.quantization.kernel_rules import kernel_axis
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.training.registers.latents import Bias, Factor, Kernel, Latent, OutputScale

KERNELS = ("depthwise_kernel", "pointwise_kernel", "kernel")
BIAS_BITS = 7
"""Of a bias, without its sign; also its most fractional bits."""


def latents_of(graph: QuantizedGraph) -> Iterator[tuple[tuple[str, str], Latent]]:
    """Yield the latents of every node."""
    for node in graph.nodes:
        registers = node.registers
        for name in KERNELS:
            if node.op in NEURAL and name in registers:
                count = int(terms(node, name, np.ones(1)))
                axis = None if name == "depthwise_kernel" else kernel_axis(node.op)
                kernel = Kernel(registers[name], node.bits["weights"], count, axis)
                yield (node.name, name), kernel
        if "bias" in registers:
            unit, least = _output_unit(graph, node), _least_shift(graph, node)
            bias = Bias(registers["bias"], registers["bias_shift"], unit, least)
            yield (node.name, "bias"), bias
        if "output_scales" in registers and np.all(registers["output_scales"]):
            mantissa, shift = registers["output_scales"], registers["output_shift"]
            scale = OutputScale(mantissa, shift, tied=_tied(graph, node))
            yield (node.name, "output_scales"), scale
        if node.op == "Dequantizer" and _moves(graph, node):
            held = partial(held_scales, graph, node)
            yield (node.name, "scales"), Factor(registers["scales"], held)


def _moves(graph, end: QuantizedNode) -> bool:
    """Return True if the scales of a Dequantizer can change and leave other registers as are."""
    head = head_of(graph, end)
    chain = chain_after(graph, head)
    return moves_freely(head) and not any("max_value" in node.registers for node in chain)


def _tied(graph, end: QuantizedNode) -> bool:
    """Return True if all channels of an output have one factor of their scales."""
    return not moves_freely(head_of(graph, end)) and not takes_rates(graph, end)


def _least_shift(graph, node: QuantizedNode) -> np.ndarray:
    """Return the smallest shifts of a bias, which has as many fractional bits at most."""
    frac_bits = graph.node(node.inputs[0]).format.frac_bits
    if node.op != "DepthwiseConv2D":
        frac_bits = frac_bits.max()
    return np.maximum(frac_bits - BIAS_BITS, 0)


def _output_unit(graph, node: QuantizedNode) -> np.ndarray:
    """Return how many levels of the output one unit of a node's sums is, float64 (filters,)."""
    pixels, filters = 1, node.shape[-1]
    while "output_shift" not in node.registers and node.op != "Dequantizer":
        node = graph.consumers(node)[0]
        if node.op == "GlobalAveragePooling2D":
            pixels = math.prod(graph.shapes[node.inputs[0]][:2])
    if node.op == "Dequantizer":
        unit = node.registers["scales"].astype(np.float64)
    else:
        mantissa = np.maximum(node.registers.get("output_scales", np.ones(1)), 1)
        unit = mantissa * np.exp2(node.registers["output_shift"].astype(np.float64))
    # A Reshape of sums changes the last axis; it takes sums of one scale.
    return pixels * (unit if len(unit) == filters else np.full(filters, unit.mean()))


def terms(node: QuantizedNode, name: str, bounds: np.ndarray) -> float:
    """Return the sum of the magnitudes that one output adds up, for weights of 1.

    Parameters
    ----------
    bounds : float64 array of shape () or (channels,)
        Largest magnitude of each input channel.
    """
    *window, channels, _ = node.registers[name].shape
    depthwise = node.op in DEPTHWISE or name == "depthwise_kernel"
    bounds = np.broadcast_to(bounds, (channels,))
    return math.prod(window) * float(bounds.max() if depthwise else bounds.sum())
