"""Find the scales of a layer's sums from the registers at the end of its chain."""

from __future__ import annotations

import numpy as np

from pipeline.quantization.floats.chains import (
    average_factor,
    chain_after,
    end_frac_bits,
    takes_rates,
)
from pipeline.quantization.floats.outputs import scale_interval, scale_units
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

BOUND_BITS = 8
"""Of the mantissa of an upper bound."""
MARGIN = 1e-6
"""Part of a bound that is kept from the ends of intervals, where halves would be rounded."""


def sum_scales(quantized: QuantizedGraph, node: QuantizedNode, frac_bits: np.ndarray) -> np.ndarray:
    """Return scales of a layer's sums from which the registers of its chain follow.

    Those of the model itself, unless its registers were changed since.

    Parameters
    ----------
    quantized : QuantizedGraph
    node : QuantizedNode
        A layer with a kernel.
    frac_bits : int array
        Of its sums.

    Returns
    -------
    float array of shape (channels,) or ()
    """
    chain = chain_after(quantized, node)
    end, own = chain[-1], node.format.scales
    if end is node:
        several = np.ndim(node.rate) > 0 and not takes_rates(quantized, node)
        return scale_units(node, frac_bits) if several else _own_sums(node, frac_bits)
    if end.op == "Dequantizer":
        power = np.exp2(end_frac_bits(chain, frac_bits).astype(np.float32))
        wanted = end.registers["scales"] * power
        share = average_factor(quantized, chain)
        same = np.array_equal(*np.broadcast_arrays(np.float32(own * share), wanted))
        return own if same else wanted.astype(np.float64) / share
    low, high = limits(quantized, chain, frac_bits)
    inside = (low <= own) & (own <= high)
    if np.all(inside) or np.any(low > high):
        return own
    return np.where(inside, own, (low + high) / 2).astype(np.float32)


def _own_sums(node, frac_bits) -> np.ndarray:
    """Return the scales of the sums of a layer that quantizes them itself."""
    if node.sums is None or node.sums.scales is None:
        return scale_units(node, frac_bits)
    low, high = scale_interval(node, frac_bits)
    scaled = node.sums.scales * (np.float64(1) if node.rate is None else node.rate)
    inside = np.all((low <= scaled) & (scaled <= high))
    return node.sums.scales if inside else scale_units(node, frac_bits)


def limits(quantized, chain, frac_bits) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and largest scales from which bounds and output scales follow.

    The least one is larger than the largest one where no scale of a filter gives both.
    """
    end, found = chain[-1], [(np.float64(0), np.float64(np.inf))]
    if "output_scales" in end.registers and not takes_rates(quantized, end):
        # One rate for all channels; where the model has more, the scales take them.
        rate = np.float64(end.rate if np.ndim(end.rate) == 0 and end.rate is not None else 1)
        share = average_factor(quantized, chain)
        interval = scale_interval(end, end_frac_bits(chain, frac_bits))
        found.append(tuple(bound / share / rate for bound in interval))
    found += [_bound_limits(node, frac_bits) for node in chain if "max_value" in node.registers]
    low, high = zip(*found, strict=True)
    return np.max(np.broadcast_arrays(*low), axis=0), np.min(np.broadcast_arrays(*high), axis=0)


def _bound_limits(node, frac_bits) -> tuple[np.ndarray, np.ndarray]:
    """Return the scales for which an upper bound has its mantissa and shift."""
    mantissa = node.registers["max_value"].astype(np.float64)
    own = np.asarray(frac_bits) - node.registers["max_value_shift"].astype(np.int64)
    step = node.attrs["max_value"] * np.exp2(own.astype(np.float64))
    # The largest mantissa also stands for a power of two, which is a step above it.
    most = np.where(mantissa == 2**BOUND_BITS - 1, mantissa + 1, mantissa + 0.5)
    half = 2 ** (BOUND_BITS - 1)
    clamped = own >= np.minimum(BOUND_BITS, frac_bits)
    least = np.where((mantissa == half) & ~clamped, mantissa, mantissa - 0.5)
    with np.errstate(divide="ignore"):
        return step / most * (1 + MARGIN), step / least * (1 - MARGIN)
