"""Thresholds and steps of models quantized by the scheme quantizeml.

Its ReLU output is ``floor((p + bias) * scale * 2**shift + 1/2)``, levels half a step above the
threshold (vendor's converter, Apache-2.0). Where the quantized ReLU stops below the highest level
(``max_value`` 6 at half a unit a level is level 12 of 15), Akida 1.0 cannot clip there: the grid is
drawn closer, so that the highest level *is* the maximum, and the next layer takes it into account.
"""

from __future__ import annotations

import numpy as np

from pipeline.messages.settings import setting
from pipeline.targets.akida_v1.legacy_neurons import _pooled_pixels
from pipeline.targets.akida_v1.neuron import Neuron, Refused, wrong_bits
from pipeline.targets.blocks import Block
from simulator.akida_v1.neuron import ACT_BITS


def quantizeml_neurons(chain: list[Block], dequantizer) -> list[Neuron]:
    """Return the neuron of each block of a linear chain; `dequantizer` ends the model."""
    neurons, gain = [], 1.0
    for block in chain:
        neuron, gain = _neuron(block, gain, dequantizer)
        neurons.append(neuron)
    return neurons


def _neuron(block: Block, gain: float, dequantizer) -> tuple[Neuron, float]:
    """Return a block's neuron, and the gain that its grid gives to the next layer's potential."""
    head, relu = block.head, block.tail_node("ReLU")
    filters = head.shape[-1]
    bias = np.zeros(filters, np.int64)
    if "bias" in head.registers:
        bias = np.left_shift(
            head.registers["bias"].astype(np.int64), head.registers["bias_shift"].astype(np.int64)
        )
    base = -bias.astype(np.float64)
    if pool := block.tail_node("GlobalAveragePooling2D"):
        base = base * _pooled_pixels(block, pool)
    padding = head.registers.get("padding_value", np.zeros(1, np.int32))
    if np.ptp(padding):
        raise Refused(f"{head.name}: padding values differ by channel; Akida 1.0 has one")
    if np.any(head.registers.get("input_shift", 0)):
        raise Refused(
            f"{head.name}: its inputs are quantized per channel; Akida 1.0 needs"
            f" {setting('quantization.per_tensor_activations', True)}"
        )
    common = {"padding_value": float(padding[0])}
    if relu is None:
        if "output_shift" in block.last.registers:
            raise Refused(
                f"{block.last.name}: its output is quantized but has no activation; Akida 1.0 ends"
                " in unquantized sums: end the model with this layer, and quantize with"
                f" {setting('quantization.last_output_bits', None)}"
            )
        # Without an output quantizer the float is (p + bias) * scales.
        step = gain / dequantizer.registers["scales"].astype(np.float64)
        threshold = base * gain
        return _rounded(threshold, np.rint(threshold), step, activation=False, **common), 1.0
    unit, bits = _output_unit(relu)
    closer = _closer(relu, bits)
    rec = (unit * gain * closer).astype(np.float32)
    exact = base * gain + 0.5 * rec.astype(np.float64)
    rounded = np.rint(base * gain) + np.rint(0.5 * rec)
    step = rec * np.float32(2.0 ** (bits - 4))
    neuron = _rounded(exact, rounded, step, activation=True, act_bits=bits, **common)
    return neuron, 1 / closer


def _output_unit(relu) -> tuple[np.ndarray, int]:
    """Return potential per output level, float32 (filters,), and the width of the levels."""
    if "output_shift" not in relu.registers:
        raise Refused(
            f"{relu.name}: its output is not quantized; Akida 1.0 ends with a layer that has no"
            " activation"
        )
    if relu.format.frac_bits.ndim:
        raise Refused(
            f"{relu.name}: its output is quantized per channel; Akida 1.0 needs"
            f" {setting('quantization.per_tensor_activations', True)}"
        )
    if "max_value" not in relu.registers:
        raise Refused(f"{relu.name}: an unbounded ReLU; Akida 1.0 needs a max_value (ReLU6)")
    bits, signed = relu.bits["output"], relu.bits["output_signed"]
    if bits not in ACT_BITS:
        raise Refused(wrong_bits(relu.name, bits))
    if signed:
        raise Refused(
            f"{relu.name}: signed outputs; Akida 1.0's are unsigned: end with a layer that has no"
            f" activation ({setting('quantization.last_output_bits', None)})"
        )
    shift = relu.registers["output_shift"].astype(np.float64)
    scales = relu.registers.get("output_scales", np.ones(1)).astype(np.float64)
    return np.float32(np.exp2(-shift) / scales), bits


def _closer(relu, bits: int) -> float:
    """Return how much closer levels must lie for the highest one to be the ReLU's maximum."""
    highest = float(2**bits - 1)
    top = float(relu.attrs["max_value"]) * 2.0 ** float(relu.format.frac_bits)
    return min(1.0, top / highest)


def _rounded(threshold, rounded, step, **settings) -> Neuron:
    return Neuron(
        threshold=threshold,
        rounded=rounded.astype(np.int64).astype(np.int32),
        act_step=np.broadcast_to(step, threshold.shape).astype(np.float32),
        **settings,
    )
