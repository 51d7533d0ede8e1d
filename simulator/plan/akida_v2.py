"""Akida 2.0 layers as a linear part and a staircase of its accumulators."""

from __future__ import annotations

import numpy as np

from simulator.akida_v2.conv2d import Conv2D
from simulator.akida_v2.dense1d import Dense1D
from simulator.akida_v2.depthwise_conv2d import DepthwiseConv2D
from simulator.akida_v2.input_conv2d import InputConv2D
from simulator.akida_v2.quantizer import Dequantizer
from simulator.plan.global_pool import GlobalSum
from simulator.plan.linear import Linear
from simulator.plan.proofs import NEVER, Staircase

SHIFTS = (-48, 24)
"""Range of effective shifts: a larger right shift rounds every 33-bit product to zero, and after a
larger left shift no product but zero fits an output of `WIDEST_OUTPUT` bits."""

WIDEST_OUTPUT = 12
"""Largest output width, in value bits, whose steps are tabulated."""


def linear(layer) -> Linear | str:
    """Return the linear part of a layer, or the reason why it has no fast form."""
    if type(layer) not in (InputConv2D, Conv2D, DepthwiseConv2D, Dense1D):
        return "no fast form for this layer type"
    if getattr(layer, "input_value_bits", None) is not None:
        return "inputs saturate after their shift"
    weights, largest_input = layer.weights.astype(np.int64), None
    if not isinstance(layer, InputConv2D | Dense1D):
        weights = weights[::-1, ::-1]
    if layer.input_shift is not None:
        shift = layer.input_shift.astype(np.int64)
        weights = weights << shift[:, None]
        largest_input = ((1 << (layer.buffer_bits - 1)) - 1) >> int(shift.max())
    if isinstance(layer, Dense1D):
        return Linear(kind="dense", weights=weights[None, None], largest_input=largest_input)
    padding_value = _padding_value(layer)
    if isinstance(padding_value, str):
        return padding_value
    return Linear(
        kind="depthwise" if isinstance(layer, DepthwiseConv2D) else "conv",
        weights=weights,
        strides=layer.kernel_stride,
        padding=layer.padding,
        padding_value=padding_value,
        pool_size=layer.pool_size,
        pool_strides=layer.pool_stride,
        pool_padding=layer.pool_padding,
        largest_input=largest_input,
    )


def _padding_value(layer) -> np.ndarray | str | None:
    """Return the padding of the unshifted input, int64 (channels,), or why there is none.

    The layer pads its shifted input. Here the weights include the shift, so that the padding value
    is divided by it, if that is exact. None is zero padding.
    """
    if not isinstance(layer, InputConv2D) or layer.padding_value is None or layer.padding != "same":
        return None
    value = layer.padding_value.astype(np.int64)
    if layer.input_shift is None:
        return value
    shift = layer.input_shift.astype(np.int64)
    unshifted = value >> shift
    if np.any(unshifted << shift != value):
        return "the padding value is not a multiple of 2**input_shift"
    return unshifted


def staircase(layer, bound: int) -> Staircase | str:
    """Return the exact output as a staircase of the sum without bias, or why there is none.

    Parameters
    ----------
    layer : layer that has a `linear` part
    bound : int
        Largest magnitude of the sum of products.
    """
    if layer.activation == "lut":
        return "a look-up table follows"
    if layer.global_pool:
        return "a global sum follows"
    if layer.output_shift is None:
        return "the output is the accumulator"
    bias, largest = _bias(layer, bound)
    if not _holds(layer, largest):
        return f"the accumulator may need more than its {layer.buffer_bits} bits"
    top = None
    if layer.max_value is not None:
        top = layer.max_value.astype(np.int64) << layer.max_value_shift.astype(np.int64)
    return _requantized(layer, largest, bias, positive=layer.activation == "relu", top=top)


def _requantized(layer, largest, bias, *, positive: bool, top=None, uncounted=False):
    """Return the requantization of a sum plus `bias` as a staircase of the sum, or why not.

    Parameters
    ----------
    largest : int or int64 (channels,)
        Largest magnitude of the sum plus bias, of all channels or of each.
    positive : bool
        True clips it at zero.
    top : int64 (channels,) or None
        Its upper bound.
    uncounted : bool
        True if nobody counts the products of positive sums that saturate.
    """
    value_bits = layer.output_bits - layer.output_signed
    if value_bits > WIDEST_OUTPUT:
        return f"outputs of {layer.output_bits} bits have too many steps"
    channels = layer.accumulator_shape[2]
    scales = np.ones(channels, np.int64)
    if layer.output_scales is not None:
        scales = layer.output_scales.astype(np.int64)
    if not scales.min() > 0:
        return "an output scale is zero"
    shift = np.clip(layer.output_shift.astype(np.int64), *SHIFTS)
    widest = (1 << value_bits) - 1
    limit = (1 << layer.post_op_buffer_bits) - 1
    saturating = largest * scales > limit
    if np.any(saturating) and not uncounted:
        return f"the scaled accumulator may need more than {layer.post_op_buffer_bits} bits"
    # A product saturates without effect if its output saturates anyway.
    if np.any(saturating & (_rounded(np.int64(limit), shift) <= widest)):
        return "a saturated product changes the output"
    low, high = -(1 << value_bits), np.full(channels, widest, np.int64)
    reach = np.full(channels, NEVER)
    if positive:
        low = 0
        if top is not None:
            reach = _rounded(np.minimum(top, largest) * scales, shift)
            high = np.minimum(high, reach)
    levels = np.arange(low + 1, widest + 1, dtype=np.int64)[:, None]
    first = _first(levels, scales, shift) - bias
    over = _first(np.int64(widest + 1), scales, shift) - bias
    under = _first(np.int64(low), scales, shift) - bias
    return Staircase(
        low=low,
        high=high,
        first=np.where(levels <= high, np.clip(first, -NEVER, NEVER), NEVER),
        slope=scales * np.exp2(shift.astype(np.float64)),
        # Nothing saturates if the ReLU's maximum is within the output's range.
        over=np.where(reach > widest, np.clip(over, -NEVER, NEVER), NEVER),
        under=np.clip(under, -NEVER, NEVER) if low < 0 else np.full(channels, -NEVER),
    )


def global_sum(layer, bound: int) -> GlobalSum | None:
    """Return the global sum of a layer; None if it has none, or its buffer may saturate."""
    plain = layer.activation != "lut" and layer.pool_size is None
    if not (layer.global_pool and plain and layer.global_pool_shift is None):
        return None
    bias, largest = _bias(layer, bound)
    if not _holds(layer, largest):
        return None
    low = high = None
    relu = layer.activation == "relu"
    if relu:
        low = np.zeros_like(bias)
        if layer.max_value is not None:
            top = layer.max_value.astype(np.int64) << layer.max_value_shift.astype(np.int64)
            high = np.minimum(top, largest)
    height, width, _ = layer.pooled_shape
    total = height * width * (np.full_like(bias, largest) if high is None else high)
    stairs = "the output is the total"
    if layer.output_shift is not None:
        # After a ReLU no total is negative, so that clipping at zero changes none.
        stairs = _requantized(layer, total, np.zeros_like(bias), positive=relu, uncounted=relu)
    return GlobalSum(
        bias=bias,
        low=low,
        high=high,
        finish=layer.finish_pooled,
        largest=int(total.max(initial=0)),
        stairs=None if isinstance(stairs, str) else stairs,
    )


def accumulators(layer, bound: int) -> np.ndarray | None:
    """Return the bias of a layer whose output is its sums plus bias; None for other layers."""
    plain = layer.activation == "none" and layer.pool_size is None and not layer.global_pool
    if not plain or layer.output_shift is not None:
        return None
    bias, largest = _bias(layer, bound)
    return bias if _holds(layer, largest) else None


def scales(layer) -> np.ndarray | None:
    """Return the float32 scales of a layer that only scales its inputs; None for other layers."""
    return layer.scales if type(layer) is Dequantizer else None


def _bias(layer, bound: int) -> tuple[np.ndarray, int]:
    """Return the shifted bias, int64 (channels,), and the largest magnitude of an accumulator."""
    bias = np.zeros(layer.accumulator_shape[2], np.int64)
    if layer.bias is not None:
        shift = 0 if layer.bias_shift is None else layer.bias_shift.astype(np.int64)
        bias = layer.bias.astype(np.int64) << shift
    return bias, bound + int(np.abs(bias).max(initial=0))


def _holds(layer, largest: int) -> bool:
    """Return True if a layer's buffer, a sign and a magnitude, holds all accumulators."""
    return largest < 1 << (layer.buffer_bits - 1)


def finish(layer, sums: np.ndarray, tally) -> np.ndarray:
    """Return a layer's output for its sums of products, int64, by the layer's own arithmetic."""
    return layer.finish(layer.add_bias(sums, tally), tally)


def _rounded(products, shift):
    """Return ``floor(products * 2**shift + 1/2)`` for non-negative products below 2**36."""
    right = np.maximum(-shift, 0)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    return ((products + half) >> right) << np.maximum(shift, 0)


def _first(levels, scales, shift):
    """Return the smallest p with ``floor(p * scales * 2**shift + 1/2) >= level``, integers only."""
    right = np.maximum(-shift, 0)
    # p * scales >= (2 * level - 1) * 2**(right - 1), below 2**62 for levels of 13 value bits.
    shifted = (2 * levels - 1) << np.maximum(right - 1, 0)
    divisor = np.where(right > 0, scales, scales << np.maximum(shift, 0))
    wanted = np.where(right > 0, shifted, levels)
    return -(-wanted // divisor)
