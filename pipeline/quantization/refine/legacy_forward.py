"""Run single layers of a model quantized by the scheme cnn2snn, as Akida 1.0 does.

A test compares the levels with those of the chip's emulator by equality.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.quantization.integerize_legacy import LAYERS
from pipeline.quantization.legacy_threshold import Scaling, neuron
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.refine.integer_forward import run_node, weighted
from simulator.kernels import global_sum

AVERAGE = "GlobalAveragePooling2D"


def run_chain(quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    """Return a model's outputs of images, float32 (n, ...)."""
    given, x, block = Scaling(), images, []
    for node in quantized.nodes[1:]:
        if node.op == "Rescaling":
            given = given.rescaled(float(node.attrs["scale"]), float(node.attrs["offset"]))
            continue
        if block and (node.op in LAYERS or block[-1].op == "ReLU"):
            x, given, block = run_block(block, x, given), scaling_after(block, given), []
        block.append(node)
    return run_block(block, x, given)


def scaling_after(nodes: Sequence[QuantizedNode], given: Scaling) -> Scaling:
    """Return the scaling of a block's output, which may move values only."""
    return Scaling(1 / float(nodes[-1].registers["step"])) if nodes[-1].op == "ReLU" else given


def run_block(nodes: Sequence[QuantizedNode], x: np.ndarray, given: Scaling) -> np.ndarray:
    """Return the output of a layer with its pooling and activation, or of one that moves values.

    Parameters
    ----------
    nodes : sequence of QuantizedNode
        One layer, and what follows until its ReLU or the model's end.
    x : integer array of shape (n, ...)
    given : Scaling
        Of `x`.

    Returns
    -------
    int8 levels; float32 where no activation follows
    """
    if nodes[0].op not in LAYERS:
        return _moved(nodes, x)
    sums, pixels = potentials(nodes, x, given)
    relu = nodes[-1] if nodes[-1].op == "ReLU" else None
    step, bits = (float(relu.registers["step"]), relu.bits["output"]) if relu else (None, 4)
    threshold, act_step = neuron(nodes[0], given, step, bits, pixels)
    above = sums - np.floor(threshold)
    act_step = act_step.astype(np.float32).astype(np.float64)
    if relu is None:
        fraction = (threshold - np.floor(threshold)).astype(np.float32)
        return ((above - fraction) / act_step).astype(np.float32)
    # Steps and their powers of two as in `simulator.akida_v1.neuron.NeuralLayer.levels`.
    levels = np.ceil(above / (act_step * 2.0 ** (4 - bits)))
    return np.clip(levels, 0, 2**bits - 1).astype(np.int8)


def potentials(
    nodes: Sequence[QuantizedNode], x: np.ndarray, given: Scaling
) -> tuple[np.ndarray, int]:
    """Return a layer's integer sums after its pooling, and how many positions an average sums."""
    head, *rest = nodes
    # The chip pads with an integer pixel; the vendor's converter truncates.
    padding = {"padding_value": int(given.b)} if given.b else {}
    sums = weighted(_with(head, padding), x)
    pixels = 1
    for node in rest:
        if node.op == AVERAGE:
            pixels = int(np.prod(sums.shape[1:3]))
            sums = global_sum(sums).reshape(len(sums), -1)
        elif node.op != "ReLU":
            sums = run_node(node, sums)
    return sums, pixels


def values(nodes: Sequence[QuantizedNode], x: np.ndarray, given: Scaling) -> np.ndarray:
    """Return a layer's sums after its pooling in units of the float model, bias included."""
    sums, pixels = potentials(nodes, x, given)
    zero, unit = neuron(nodes[0], given, None, pixels=pixels)
    return (sums - zero) / unit


def _moved(nodes, x):
    for node in nodes:
        x = run_node(node, x)
    return x


def _with(head, registers):
    return QuantizedNode(**{**vars(head), "registers": {**head.registers, **registers}})
