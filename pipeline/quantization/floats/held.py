"""Find the scales that files can hold: functions of a layer's largest weights, in float32."""

from __future__ import annotations

import numpy as np

from pipeline.quantization.fixed_point import other_axes
from pipeline.quantization.floats.chains import average_factor, chain_after, end_frac_bits, head_of
from pipeline.quantization.floats.kernels import nearest_ranges, scales_of
from pipeline.quantization.kernel_rules import kernel_axis
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.walk import align


def held_scales(quantized: QuantizedGraph, end: QuantizedNode, wanted: np.ndarray) -> np.ndarray:
    """Return the scales of a Dequantizer that are nearest to the wanted ones.

    Parameters
    ----------
    quantized : QuantizedGraph
    end : QuantizedNode
        A Dequantizer after a layer with a kernel.
    wanted : float32 array of shape (channels,)

    Returns
    -------
    float32 array of shape (channels,)
        The model's own, of filters that do not reach the largest integer.
    """
    head = head_of(quantized, end)
    bits, kernel = head.bits["weights"], head.registers["kernel"].astype(np.int64)
    given = quantized.node(head.inputs[0]).format
    given = given if head.op == "DepthwiseConv2D" else align(given)[1]
    factor = np.float32(1 if given.scales is None else given.scales)
    chain = chain_after(quantized, head)
    share = average_factor(quantized, chain)
    power = np.exp2(end_frac_bits(chain, given.frac_bits).astype(np.float32))
    units = wanted.astype(np.float64) * power / share
    scales = np.float32(factor * scales_of(nearest_ranges(units, bits, factor), bits))
    peaks = np.abs(kernel).max(axis=other_axes(kernel.ndim, kernel_axis(head.op)))
    found = np.float32(scales * share) / power
    return np.where(peaks == 2 ** (bits - 1) - 1, found, end.registers["scales"])


def moves_freely(head: QuantizedNode) -> bool:
    """Return True if every scale of a layer follows from its kernel's largest weights alone."""
    return "kernel" in head.registers and kernel_axis(head.op) is not None
