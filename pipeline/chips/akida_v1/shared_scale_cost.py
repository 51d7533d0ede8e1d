"""Measure on samples what sharing one scale among all channels of a tensor costs.

The program's outputs are compared with those of the quantized model, whose channels keep their
scales. The model is run in float64 with QuantizeML's arithmetic for a chain of layers: a
measurement, not a reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from pipeline.chips.akida_v1.quantizeml_neurons import pooled
from pipeline.chips.akida_v1.shared_scale import saturates
from pipeline.chips.blocks import Block, View
from pipeline.chips.chip import Samples
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.quantizeml_threshold import pooled_bias
from simulator import Program, ProgramError, simulate
from simulator.akida_v1 import InputData
from simulator.akida_v1.neuron import NeuralLayer
from simulator.kernels import global_sum, max_pool

COUNT, BATCH = 64, 16
"""Number of samples that are run, and of samples per batch."""


def shared_scale_cost(
    graph: QuantizedGraph, program: Program, samples: Samples | None
) -> Iterator[str]:
    """Yield a note on what one scale costs, if tensors of `graph` have a scale per channel.

    Parameters
    ----------
    graph : QuantizedGraph
    program : Program
        Converted from `graph`.
    samples : function without arguments, or None
        Returns inputs of the model. Random inputs are used where it is None or returns None.
    """
    taken = _alignment_text(graph)
    if not taken:
        return
    images = samples() if samples is not None else None
    what = "samples"
    if images is None:
        rng = np.random.default_rng(0)
        limits = np.iinfo(program.input_dtype)
        size = (COUNT, *program.input_shape)
        images = rng.integers(limits.min, limits.max, size, program.input_dtype, endpoint=True)
        what = "random inputs"
    images = np.asarray(images[:COUNT])
    yield (
        f"one scale per tensor instead of one per channel: {taken}; on {len(images)} {what}"
        f" {_measured(graph, program, images)}. Avoid it with"
        f" {setting('quantization.per_tensor_activations', True)}"
    )


def _measured(graph: QuantizedGraph, program: Program, images: np.ndarray) -> str:
    try:
        found = simulate(program, images)
    except ProgramError as error:
        if not isinstance(error.__cause__, OverflowError):
            raise
        return f"the program cannot be run ({error})"
    return difference_text(found, quantized_outputs(graph, program, images).reshape(found.shape))


def difference_text(found: np.ndarray, expected: np.ndarray) -> str:
    """Describe how far outputs, shape (n, ..., values), are from the expected ones."""
    # The spread over samples, without the constant part of each output.
    spread = max(float(expected.std(axis=0).mean()), 1e-30)
    change = float(np.abs(found - expected).mean())
    text = f"outputs change by {change / spread:.1%} of their spread"
    if expected.shape[-1] == 1:
        return text
    same = np.mean(found.argmax(axis=-1) == expected.argmax(axis=-1))
    return f"{text}, and the highest one is the same for {same:.1%}"


def quantized_outputs(graph: QuantizedGraph, program: Program, images: np.ndarray) -> np.ndarray:
    """Return the outputs of the quantized model, float64 (n, height, width, values).

    Parameters
    ----------
    graph : QuantizedGraph
    program : Program
        Converted from `graph`.
    images : array of shape (n, *input shape)
    """
    chain = View(graph, graph).blocks
    layers = [layer for layer in program.layers if not isinstance(layer, InputData)]
    (dequantizer,) = (node for node in graph.nodes if node.op == "Dequantizer")
    scales = dequantizer.registers["scales"].astype(np.float64)
    outputs = []
    for start in range(0, len(images), BATCH):
        x = images[start : start + BATCH].astype(np.int64)
        for block, following, layer in zip(chain, [*chain[1:], None], layers, strict=True):
            x = x.reshape(len(x), *layer.input_shapes[0])
            sums = _pooled(layer, layer.potentials(x)) + pooled_bias(block.head, pooled(block))
            relu = block.member("ReLU")
            x = sums * scales if relu is None else _aligned(relu, _levels(relu, sums), following)
        outputs.append(x)
    return np.concatenate(outputs)


def _pooled(layer: NeuralLayer, potentials: np.ndarray) -> np.ndarray:
    """Return potentials after the layer's pooling, before its activation."""
    if layer.pool_type == "max":
        window = layer.pool_size, layer.pool_stride, layer.padding
        return max_pool(potentials, *window)
    return global_sum(potentials) if layer.pool_type == "average" else potentials


def _levels(relu: QuantizedNode, sums: np.ndarray) -> np.ndarray:
    """Apply QuantizeML's ReLU to accumulators, and return int64 levels."""
    registers = {name: array.astype(np.int64) for name, array in relu.registers.items()}
    top = np.left_shift(registers["max_value"], registers["max_value_shift"])
    scaled = np.clip(sums, 0, top) * registers.get("output_scales", 1)
    levels = np.floor(np.ldexp(scaled.astype(np.float64), registers["output_shift"]) + 0.5)
    return np.minimum(levels, 2 ** relu.bits["output"] - 1).astype(np.int64)


def _aligned(relu: QuantizedNode, levels: np.ndarray, following: Block) -> np.ndarray:
    """Return levels in units of the finest channel, the scale in which the next layer sums."""
    own = relu.format.frac_bits
    aligned = np.left_shift(levels, own.max() - own)
    return np.minimum(aligned, 2 ** relu.bits["output"] - 1) if saturates(following) else aligned


def _alignment_text(graph: QuantizedGraph) -> str:
    """Describe which layers' channels differ in scale, and the shared scale; empty if none do."""
    chain = View(graph, graph).blocks
    bits: dict[bool, dict[str, int]] = {False: {}, True: {}}
    for block, following in itertools.pairwise(chain):
        relu = block.member("ReLU")
        if apart := int(np.ptp(relu.format.frac_bits)):
            bits[saturates(following)][relu.name] = apart
    parts = []
    if bits[False]:
        most = max(bits[False].values())
        parts.append(
            f"{_names(bits[False])} took the coarsest (up to {most} bit{'s' * (most > 1)} fewer)"
        )
    if bits[True]:
        parts.append(f"{_names(bits[True])} took the finest, at which the Flatten saturates")
    return "; ".join(parts)


def _names(layers: dict[str, int]) -> str:
    names = ", ".join(list(layers)[:4])
    return f"{names} and {len(layers) - 4} more" if len(layers) > 4 else names
