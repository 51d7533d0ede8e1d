"""Find the ranges and rates of an output quantizer from its registers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.quantization.calibrated_graph import InputQuantizer, OutputQuantizer
from pipeline.quantization.quantized_graph import Format, QuantizedNode

INSIDE = 0.75
"""A range by its power of two: far from both ends, where roundings would decide."""
MARGIN = 1e-6
"""Part of a step that is kept from the ends of intervals, where halves would be rounded."""


def output_quantizer(
    node: QuantizedNode, accumulator: Format, *, may_be_per_axis: bool
) -> OutputQuantizer | None:
    """Return the quantizer of a node's output; None if its output is not quantized.

    Parameters
    ----------
    node : QuantizedNode
    accumulator : Format
        Before the quantizer.
    may_be_per_axis : bool
        True if the output may have a rate per channel although all channels have one range.

    Notes
    -----
    The rate is the node's own if its registers follow from it.
    """
    if "output" not in node.bits:
        return None
    frac_bits = np.asarray(node.format.frac_bits)
    quantizer = OutputQuantizer(
        bits=node.bits["output"],
        signed=bool(node.bits["output_signed"]),
        per_tensor=frac_bits.ndim == 0,
        range_max=_range(node.format.value_bits, frac_bits),
        buffer_bits=node.bits["post_op_buffer"],
    )
    scales = node.registers.get("output_scales")
    if scales is None:
        return quantizer
    low, high = _interval(node, accumulator)
    quantizer = replace(quantizer, scale_bits=scale_bits(scales))
    own = np.float32(1) if node.rate is None else node.rate
    kept = bool(np.all((low <= own) & (own <= high)))
    if not quantizer.per_tensor:
        rate = np.broadcast_to(own, low.shape) if kept else (low + high) / 2
        return replace(quantizer, rescaling_rate=np.float32(rate))
    rate, fits = (low.max() + high.min()) / 2, low.max() < high.min()
    if kept and np.ndim(own) == 0:
        return replace(quantizer, rescaling_rate=own)
    if fits or not may_be_per_axis:
        return replace(quantizer, rescaling_rate=np.float32(rate))
    return replace(
        quantizer,
        per_tensor=False,
        range_max=np.full(scales.shape, quantizer.range_max),
        rescaling_rate=np.float32((low + high) / 2),
    )


def scale_bits(scales: np.ndarray) -> int:
    """Return the width of the mantissas in a register."""
    return 8 * scales.dtype.itemsize


def scale_units(node: QuantizedNode, frac_bits: np.ndarray) -> np.ndarray:
    """Return the scales of an accumulator that are quantized to a node's output registers.

    Parameters
    ----------
    node : QuantizedNode
    frac_bits : int array
        Of the accumulator.

    Returns
    -------
    float32 array of shape (channels,)
    """
    low, high = scale_interval(node, frac_bits)
    return np.float32((low + high) / 2)


def scale_interval(node: QuantizedNode, frac_bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and largest scales, float64, that are quantized to a node's registers."""
    return tuple(bound * _step(node, frac_bits) for bound in _mantissas(node))


def _mantissas(node):
    """Return the open interval that is rounded to each mantissa."""
    mantissa = node.registers["output_scales"].astype(np.float64)
    size = 2.0 ** scale_bits(node.registers["output_scales"])
    # An exact power of two takes the exponent below, where the largest mantissa is a step short.
    low = np.where(mantissa == size / 2, mantissa, mantissa - 0.5)
    high = np.where(mantissa == size - 1, size, mantissa + 0.5)
    return low + MARGIN, high - MARGIN


def _step(node, frac_bits):
    """Return the value of one step of the mantissas."""
    shift = node.registers["output_shift"].astype(np.int64)
    return np.exp2(shift + np.asarray(frac_bits) - np.asarray(node.format.frac_bits), dtype=float)


def _interval(node, accumulator):
    """Return the rates between which every mantissa is the wanted one."""
    scales = np.asarray(accumulator.scales, np.float64)
    return tuple(bound / scales for bound in scale_interval(node, accumulator.frac_bits))


def input_quantizer(node: QuantizedNode) -> InputQuantizer:
    """Return the quantizer of float inputs."""
    signed = bool(node.bits["output_signed"])
    steps = np.asarray(node.registers["scales"], np.float64)
    frac_bits = np.asarray(node.format.frac_bits)
    if frac_bits.ndim == 0:
        steps = steps[0]
    size = np.exp2(float(node.format.value_bits))
    zero = 0 if signed else np.asarray(node.registers["zero_points"], np.float64)
    zero = np.reshape(zero, (-1,))[0] if np.ndim(zero) and frac_bits.ndim == 0 else zero
    low = -INSIDE * size / steps if signed else -zero / steps
    high = INSIDE * size / steps if signed else low + (1 - MARGIN) * size / steps
    return InputQuantizer(
        bits=node.bits["output"],
        signed=signed,
        per_tensor=frac_bits.ndim == 0,
        range_min=np.asarray(low, np.float32),
        range_max=np.asarray(high, np.float32),
        clip_at_zero=node.attrs["clip_at_zero"],
    )


def _range(value_bits, frac_bits):
    return np.asarray(INSIDE * np.exp2(value_bits - frac_bits, dtype=float), np.float32)
