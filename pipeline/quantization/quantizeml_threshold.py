"""Thresholds and steps of Akida 1.0's neurons from models of the scheme quantizeml.

The scheme's ReLU output is ``floor((p + bias) * scale * 2**shift + 1/2)``: levels begin half a step
above the threshold (vendor's converter, Apache-2.0). Where the quantized ReLU saturates below the
highest level (``max_value`` 6 with levels of 0.5 is level 12 of 15), Akida 1.0 cannot clip there:
the step is made smaller, so that the highest level is the maximum, and the next layer is rescaled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.errors import ModelError
from pipeline.quantization.quantized_graph import QuantizedNode
from pipeline.quantization.reach import reachable_registers


class Unrounded(NamedTuple):
    """Thresholds and steps of a layer in units of its potentials, before registers hold them.

    Attributes
    ----------
    exact, whole : float64 arrays of shape (filters,)
        The real-valued threshold, and the integer for its register.
    act_step : array of shape (filters,)
    closer : float
        Factor of the steps by which the highest level is the ReLU's maximum.
    """

    exact: np.ndarray
    whole: np.ndarray
    act_step: np.ndarray
    closer: float = 1.0


def pooled_bias(head: QuantizedNode, pixels: int) -> np.ndarray:
    """Return the bias in units of potentials that are summed over `pixels`, int64 (filters,)."""
    if "bias" not in head.registers:
        return np.zeros(head.shape[-1], np.int64)
    bias, shift = (head.registers[name].astype(np.int64) for name in ("bias", "bias_shift"))
    return np.left_shift(bias, shift) * pixels


def filter_scales(scales: np.ndarray, filters: int) -> np.ndarray:
    """Return a model's output scales as one or one per filter of its last layer, float64.

    A Flatten at the end repeats the filters' scales for each position of its map, channels last.

    Raises
    ------
    ModelError
        If they differ between positions.
    """
    rows = np.asarray(scales, np.float64).reshape(-1, filters if np.size(scales) > 1 else 1)
    if not np.array_equal(rows, np.broadcast_to(rows[0], rows.shape)):
        raise ModelError(
            "the scales of the outputs differ between positions of a map; Akida 1.0 has one for"
            " each filter"
        )
    return rows[0]


def ended(head: QuantizedNode, pixels: int, gain: float, scales: np.ndarray) -> Unrounded:
    """Return the registers of a last layer, whose float output is ``(p + bias) * scales``.

    Parameters
    ----------
    head : QuantizedNode
    pixels : int
        Positions that a global average sums.
    gain : float
        Potential on the chip per unit of the sum in the quantized model.
    scales : float64 array of shape (filters,)
    """
    threshold = -pooled_bias(head, pixels).astype(np.float64) * gain
    step = np.broadcast_to(gain / scales, threshold.shape)
    return Unrounded(threshold, np.rint(threshold), step)


def activated(
    head: QuantizedNode,
    relu: QuantizedNode,
    pixels: int,
    gain: float,
    bound: np.ndarray,
    levels: np.ndarray | float = 1.0,
    frac_bits: int | None = None,
) -> Unrounded:
    """Return the registers of a layer with a ReLU; other arguments as in `ended`.

    Parameters
    ----------
    head, relu : QuantizedNode
    bound : float64 array of shape (filters,)
        From `reach`.
    levels : float32 array of shape () or (filters,)
        Levels of each channel in the quantized model per level on the chip.
    frac_bits : int, optional
        One level on the chip is ``2**-frac_bits``; by default as in the quantized model.
    """
    base = -pooled_bias(head, pixels).astype(np.float64) * gain
    bits = relu.bits["output"]
    frac_bits = int(relu.format.frac_bits) if frac_bits is None else frac_bits
    closer = min(1.0, float(relu.attrs["max_value"]) * 2.0**frac_bits / (2**bits - 1))
    rec = (_output_unit(relu) * levels * gain * closer).astype(np.float32)
    exact = base + 0.5 * rec.astype(np.float64)
    whole = np.rint(base) + np.rint(0.5 * rec)
    step = np.broadcast_to(rec * np.float32(2.0 ** (bits - 4)), base.shape)
    return Unrounded(exact, *reachable_registers(whole, step, bits, bound), closer)


def _output_unit(relu: QuantizedNode) -> np.ndarray:
    """Return potential per output level, float32 (filters,)."""
    shift = relu.registers["output_shift"].astype(np.float64)
    scales = relu.registers.get("output_scales", np.ones(1)).astype(np.float64)
    return np.float32(np.exp2(-shift) / scales)
