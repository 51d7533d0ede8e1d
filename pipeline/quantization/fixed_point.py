"""Convert floats to integers: power-of-two scales, weights, aligned constants, output scales.

The formulas are QuantizeML 1.2.5's (Apache-2.0), the public definition of Akida 2.0 quantization;
float operations are float32 in the same order, so that the integers are equal. There are two kinds
of rounding: floats round half to even (`numpy.rint`), shifts of integers round half up.
"""

from __future__ import annotations

import numpy as np

# The reference computes ceil(log(x) / log(2)) in float32; at these exact powers of two its result
# is one too high (ceil) or one too low (floor). Everywhere else the exponent is exact.
_CEIL_TOO_HIGH = np.array([-60, -57, -54, -49, -31, -30, -27, -15, 13, 26, 52])
_FLOOR_TOO_LOW = np.array([-52, -26, -13, 15, 27, 30, 31, 49, 54, 57, 60])

SMALLEST_SCALE = np.float32(1e-6)
"""Smallest scale of weights; a channel below it is quantized to zeros."""


def ceil_log2(x: np.ndarray) -> np.ndarray:
    """Return the smallest integer exponent e with ``x <= 2**e``, as the reference computes it.

    Parameters
    ----------
    x : float32 array, non-negative

    Returns
    -------
    int64 array of the same shape; a very negative number for 0.
    """
    mantissa, exponent = np.frexp(np.asarray(x, np.float32))
    power = mantissa == 0.5
    result = exponent.astype(np.int64) - power
    result = result + (power & np.isin(result, _CEIL_TOO_HIGH))
    return np.where(mantissa == 0, np.int64(-(1 << 20)), result)


def floor_log2(x: np.ndarray) -> np.ndarray:
    """Return the largest integer exponent e with ``2**e <= x``, as the reference computes it."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float32))
    power = mantissa == 0.5
    result = exponent.astype(np.int64) - 1
    result = result - (power & np.isin(result, _FLOOR_TOO_LOW))
    return np.where(mantissa == 0, np.int64(-(1 << 20)), result)


def max_frac_bits(value_bits: int, ranges: np.ndarray, *, clamp: bool = True) -> np.ndarray:
    """Return the most fractional bits that still cover `ranges` with `value_bits`.

    Parameters
    ----------
    value_bits : int
        Bit width without the sign.
    ranges : float32 array
        Largest magnitudes.
    clamp : bool
        Limit the result to `value_bits`, as everywhere except for output scales.

    Returns
    -------
    int64 array; may be negative.
    """
    bits = value_bits - ceil_log2(ranges)
    return np.minimum(bits, value_bits) if clamp else bits


def clip_bits(values: np.ndarray, value_bits: int) -> np.ndarray:
    """Clip integer-valued floats to a bit width.

    Parameters
    ----------
    values : float array
        Integer-valued.
    value_bits : int
        Bit width without the sign.

    Returns
    -------
    int64 array, in ``[-2**value_bits, 2**value_bits - 1]``
    """
    return np.clip(values, -(2.0**value_bits), 2.0**value_bits - 1).astype(np.int64)


def quantize_fixed(x: np.ndarray, value_bits: int, frac_bits: np.ndarray) -> np.ndarray:
    """Quantize floats to integers in units of ``2**-frac_bits``, rounding half to even.

    Parameters
    ----------
    x : float array
    value_bits : int
        Bit width without the sign; larger values saturate.
    frac_bits : int array that broadcasts against `x`

    Returns
    -------
    int64 array
    """
    scaled = np.asarray(x, np.float32) * np.exp2(np.asarray(frac_bits)).astype(np.float32)
    return clip_bits(np.rint(scaled), value_bits)


def other_axes(axes: int, axis: int | None) -> tuple[int, ...]:
    """Return all axes of an array but `axis`; every one where it is None."""
    return tuple(n for n in range(axes) if axis is None or n != axis % axes)


def weight_scales(kernel: np.ndarray, bits: int, axis: int | None) -> np.ndarray:
    """Return symmetric scales that map the largest weight to ``2**(bits-1) - 1``.

    Parameters
    ----------
    kernel : float32 array
    bits : int
        Bit width of the weights, sign included.
    axis : int or None
        Axis with one scale per index; None for a single scale.

    Returns
    -------
    float32 array of shape (kernel.shape[axis],) or ().
    """
    ranges = np.abs(kernel).max(axis=other_axes(kernel.ndim, axis)).astype(np.float32)
    # The reference's compiled graph multiplies by the float32 reciprocal instead of dividing.
    scales = ranges * (np.float32(1) / np.float32(2 ** (bits - 1) - 1))
    return np.maximum(scales, SMALLEST_SCALE)


def quantize_weights(kernel: np.ndarray, bits: int, scales: np.ndarray) -> np.ndarray:
    """Quantize a kernel.

    Parameters
    ----------
    kernel : float32 array
    bits : int
        Bit width, sign included.
    scales : float32 array that broadcasts against `kernel`
        From `weight_scales`.

    Returns
    -------
    int8 array
        ``rint(kernel / scales)``, halves to even, clipped to `bits`.
    """
    return clip_bits(np.rint(kernel.astype(np.float32) / scales), bits - 1).astype(np.int8)


def quantize_aligned(
    x: np.ndarray, bits: int, *, signed: bool, frac_bits: np.ndarray, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Quantize a constant in units of an accumulator, as a mantissa and a left shift.

    Parameters
    ----------
    x : float32 array of shape () or (channels,)
        Bias, upper bound or padding value.
    bits : int
        Width of the mantissa, sign included when `signed`.
    signed : bool
    frac_bits, scales : arrays of shape () or (channels,)
        Format of the accumulator.

    Returns
    -------
    mantissa, shift : int64 arrays of the broadcast shape
        The constant is ``mantissa << shift``, in units of the accumulator.

    Notes
    -----
    A magnitude that is exactly a power of two saturates to ``2**value_bits - 1`` (127 or 255).
    """
    x = np.asarray(x, np.float32)
    value_bits = bits - signed
    magnitude = np.abs(x) if bits > 4 else np.abs(x).max()
    own = np.minimum(max_frac_bits(value_bits, magnitude / scales), frac_bits)
    mantissa = quantize_fixed(x / scales, value_bits, own)
    shift = np.asarray(frac_bits, np.int64) - own
    shape = np.broadcast_shapes(mantissa.shape, shift.shape)
    return np.broadcast_to(mantissa, shape).copy(), np.broadcast_to(shift, shape).copy()


def quantize_scales(scales: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize accumulator scales to unsigned mantissas.

    Returns
    -------
    mantissa : int64 array, in ``[2**(bits-1), 2**bits - 1]``
    frac_bits : int64 array
        ``scales ~ mantissa * 2**-frac_bits``. A scale that is exactly a power of two saturates
        (255 instead of 256).

    Notes
    -----
    `scales` are float32, one per channel or one per tensor; `bits` is the width of the mantissa.
    """
    scales = np.asarray(scales, np.float32)
    frac_bits = max_frac_bits(bits, scales, clamp=False)
    return quantize_fixed(scales, bits, frac_bits), frac_bits
