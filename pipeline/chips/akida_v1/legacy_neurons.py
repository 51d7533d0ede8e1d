"""Thresholds and steps of models quantized by the scheme cnn2snn, as registers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.chips.akida_v1.neuron import Neuron, RefusedQuantizationError, held
from pipeline.chips.blocks import Block
from pipeline.quantization.legacy_threshold import Scaling, neuron
from pipeline.quantization.quantized_graph import QuantizedGraph


def legacy_neurons(chain: Sequence[Block], graph: QuantizedGraph) -> list[Neuron]:
    """Return the neuron of each block of a linear chain."""
    given = _input_scaling(graph)
    neurons, refusals = [], []
    for position, block in enumerate(chain):
        try:
            found, given = _neuron(block, given, is_input=position == 0)
        except RefusedQuantizationError as refused:
            refusals += refused.refusals
        else:
            neurons.append(found)
    if refusals:
        raise RefusedQuantizationError(*refusals)
    return neurons


def _input_scaling(graph: QuantizedGraph) -> Scaling:
    """Return the scaling of the image after its Rescaling."""
    given = Scaling()
    for node in graph.nodes:
        if node.op == "Rescaling":
            given = Scaling().rescaled(float(node.attrs["scale"]), float(node.attrs["offset"]))
    return given


def _neuron(block: Block, given: Scaling, *, is_input: bool) -> tuple[Neuron, Scaling]:
    head = block.head
    relu = block.member("ReLU")
    step = float(relu.registers["step"]) if relu else None
    bits = relu.bits["output"] if relu else 4
    pool = block.member("GlobalAveragePooling2D")
    pixels = _pooled_positions(block, pool) if pool else 1
    threshold, act_step = neuron(head, given, step, bits, pixels)
    return (
        Neuron(
            threshold=threshold,
            **held(head.name, np.floor(threshold), act_step, activation=relu is not None),
            activation=relu is not None,
            act_bits=bits,
            padding_value=given.b if is_input else 0.0,
            level=np.float64(step) if relu else None,
        ),
        Scaling(1 / (step or 1.0)),
    )


def _pooled_positions(block: Block, pool) -> int:
    """Return the number of positions that a global average pooling sums."""
    before = block.head
    for node in block.tail:
        if node is pool:
            break
        before = node
    return int(before.shape[0] * before.shape[1])
