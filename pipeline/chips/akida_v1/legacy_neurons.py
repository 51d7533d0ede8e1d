"""Thresholds and steps of models quantized by the scheme cnn2snn.

The formulas are those of the legacy converter (cnn2snn, Apache-2.0): a layer's input is ``a * x +
b``, where x is the float model's; its integer kernel is ``delta`` times the float kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.chips.akida_v1.neuron import Neuron, RefusedQuantizationError, rounded, width_refusal
from pipeline.chips.blocks import Block
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator.akida_v1.neuron import ACT_BITS


def legacy_neurons(chain: Sequence[Block], graph: QuantizedGraph) -> list[Neuron]:
    """Return the neuron of each block of a linear chain."""
    scale, offset = _input_scaling(graph)
    neurons, refusals = [], []
    for position, block in enumerate(chain):
        try:
            neuron, scale = _neuron(block, scale, offset, is_input=position == 0)
        except RefusedQuantizationError as refused:
            refusals += refused.refusals
        else:
            neurons.append(neuron)
        offset = 0.0
    if refusals:
        raise RefusedQuantizationError(*refusals)
    return neurons


def _input_scaling(graph: QuantizedGraph) -> tuple[float, float]:
    """Return (a, b) of the image: ``pixel = a * x + b``."""
    scale, offset = 1.0, 0.0
    for node in graph.nodes:
        if node.op == "Rescaling":
            scale, offset = float(node.attrs["scale"]), float(node.attrs["offset"])
    return 1 / scale, -offset / scale


def _neuron(block: Block, a: float, b: float, *, is_input: bool) -> tuple[Neuron, float]:
    head = block.head
    kernels = [name for name in head.registers if name.endswith("kernel")]
    delta = np.float64(1)
    for name in kernels:
        delta = delta * head.registers[f"{name}_factor"].astype(np.float64)
    filters = head.shape[-1]
    bias = head.registers.get("bias", np.zeros(filters, np.float32)).astype(np.float64)
    relu = block.member("ReLU")
    step = float(relu.registers["step"]) if relu else 1.0
    bits = relu.bits["output"] if relu else 4
    if bits not in ACT_BITS:
        raise width_refusal(relu.name, bits)
    threshold = a * delta * ((step / 2 if relu else 0.0) - bias)
    act_step = a * delta * (step * 2**bits / 16 if relu else 1.0)
    if is_input and b:
        axes = tuple(range(head.registers[kernels[0]].ndim - 1))
        threshold = threshold + head.registers[kernels[0]].astype(np.int64).sum(axis=axes) * b
    if pool := block.member("GlobalAveragePooling2D"):
        pixels = _pooled_positions(block, pool)
        threshold, act_step = threshold * pixels, act_step * pixels
    threshold = np.broadcast_to(threshold, (filters,)).astype(np.float64)
    return (
        Neuron(
            threshold=threshold,
            rounded=rounded(head.name, np.floor(threshold)),
            act_step=np.broadcast_to(act_step, (filters,)).astype(np.float32),
            activation=relu is not None,
            act_bits=bits,
            padding_value=b if is_input else 0.0,
            level=np.float64(step) if relu else None,
        ),
        1 / step,
    )


def _pooled_positions(block: Block, pool) -> int:
    """Return the number of positions that a global average pooling sums."""
    before = block.head
    for node in block.tail:
        if node is pool:
            break
        before = node
    return int(before.shape[0] * before.shape[1])
