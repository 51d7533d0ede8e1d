"""Thresholds and steps of models quantized by the scheme quantizeml.

The scheme's ReLU output is ``floor((p + bias) * scale * 2**shift + 1/2)``: levels begin half a step
above the threshold (vendor's converter, Apache-2.0). Where the quantized ReLU saturates below the
highest level (``max_value`` 6 with levels of 0.5 is level 12 of 15), Akida 1.0 cannot clip there:
the step is made smaller, so that the highest level is the maximum, and the next layer is rescaled.
Channels of different scales are aligned to one: see `shared_scale`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.chips.akida_v1.legacy_neurons import _pooled_positions
from pipeline.chips.akida_v1.neuron import (
    Neuron,
    RefusedQuantizationError,
    refused,
    rounded,
)
from pipeline.chips.akida_v1.reach import reach, reachable_registers
from pipeline.chips.akida_v1.shared_scale import shared_scale
from pipeline.chips.blocks import Block
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedNode

IMAGE_HIGHEST = 255


def quantizeml_neurons(chain: Sequence[Block], dequantizer) -> list[Neuron]:
    """Return the neuron of each block of a linear chain that ends in `dequantizer`."""
    neurons, refusals, gain, highest = [], [], 1.0, IMAGE_HIGHEST
    for block, following in zip(chain, [*chain[1:], None], strict=True):
        bound = reach(block, highest, _pooled(block))
        try:
            neuron, gain = _neuron(block, following, gain, bound, dequantizer)
        except RefusedQuantizationError as refused_one:
            refusals += refused_one.refusals
        else:
            highest = 2**neuron.act_bits - 1
            neurons.append(neuron)
    if refusals:
        raise RefusedQuantizationError(*refusals)
    return neurons


def _pooled(block: Block) -> int:
    """Return the number of positions that a block's pooling sums."""
    pool = block.member("GlobalAveragePooling2D")
    return _pooled_positions(block, pool) if pool else 1


def pooled_bias(block: Block) -> np.ndarray:
    """Return the bias in units of the block's pooled potentials, int64 (filters,)."""
    head = block.head
    if "bias" not in head.registers:
        return np.zeros(head.shape[-1], np.int64)
    bias, shift = (head.registers[name].astype(np.int64) for name in ("bias", "bias_shift"))
    return np.left_shift(bias, shift) * _pooled(block)


def _neuron(
    block: Block, following: Block | None, gain: float, bound: np.ndarray, dequantizer
) -> tuple[Neuron, float]:
    """Return a block's neuron, and the factor by which it scales the next layer's potential."""
    head, relu = block.head, block.member("ReLU")
    base = -pooled_bias(block).astype(np.float64)
    padding = head.registers.get("padding_value", np.zeros(1, np.int32))
    if np.ptp(padding):
        raise refused(
            head.name, "one_padding_value", "padding values differ by channel", "one in Akida 1.0"
        )
    common = {"padding_value": float(padding[0])}
    if relu is None:
        if "output_shift" in block.last.registers:
            raise refused(
                block.last.name,
                "unquantized_end",
                "its output is quantized but has no activation",
                "unquantized sums at the end of a model of Akida 1.0",
                "end the model with this layer, and use"
                f" {setting('quantization.last_output_bits', None)}",
            )
        # Without an output quantizer the float output is (p + bias) * scales.
        step = gain / dequantizer.registers["scales"].astype(np.float64)
        threshold = base * gain
        whole = np.rint(threshold)
        return _rounded_neuron(head.name, threshold, whole, step, activation=False, **common), 1.0
    unit, bits = _output_unit(relu)
    shared = shared_scale(relu, following)
    unit = unit * shared.steps
    closer = _step_factor(relu, bits, shared.frac_bits)
    rec = (unit * gain * closer).astype(np.float32)
    exact = base * gain + 0.5 * rec.astype(np.float64)
    whole = np.rint(base * gain) + np.rint(0.5 * rec)
    step = np.broadcast_to(rec * np.float32(2.0 ** (bits - 4)), base.shape)
    whole, step = reachable_registers(whole, step, bits, bound)
    common["coarser"] = np.float64(shared.steps) * closer
    if following is None:
        scales = dequantizer.registers["scales"].astype(np.float64)
        common["level"] = scales * common["coarser"]
    neuron = _rounded_neuron(
        head.name, exact, whole, step, activation=True, act_bits=bits, **common
    )
    return neuron, shared.potential / closer


def _output_unit(relu: QuantizedNode) -> tuple[np.ndarray, int]:
    """Return potential per output level, float32 (filters,), and the bit width of the levels."""
    if "output_shift" not in relu.registers:
        raise refused(
            relu.name,
            "last_activation",
            "its output is not quantized",
            "no activation in the last layer of Akida 1.0",
            "end the model with a layer that has none",
        )
    if "max_value" not in relu.registers:
        raise refused(
            relu.name, "bounded_relu", "an unbounded ReLU", "a max_value in Akida 1.0", "use ReLU6"
        )
    bits, signed = relu.bits["output"], relu.bits["output_signed"]
    if signed:
        raise refused(
            relu.name,
            "unsigned_output",
            "signed outputs",
            "unsigned ones in Akida 1.0",
            "end with a layer that has no activation"
            f" ({setting('quantization.last_output_bits', None)})",
        )
    shift = relu.registers["output_shift"].astype(np.float64)
    scales = relu.registers.get("output_scales", np.ones(1)).astype(np.float64)
    return np.float32(np.exp2(-shift) / scales), bits


def _step_factor(relu: QuantizedNode, bits: int, frac_bits: int) -> float:
    """Return the factor by which steps shrink so that the highest level is the ReLU's maximum."""
    highest = float(2**bits - 1)
    top = float(relu.attrs["max_value"]) * 2.0**frac_bits
    return min(1.0, top / highest)


def _rounded_neuron(layer: str, threshold, whole, step, **settings) -> Neuron:
    return Neuron(
        threshold=threshold,
        rounded=rounded(layer, whole),
        act_step=np.broadcast_to(step, threshold.shape).astype(np.float32),
        **settings,
    )
