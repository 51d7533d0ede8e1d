"""Find float constants that are quantized to given mantissas and shifts."""

from __future__ import annotations

import numpy as np

VALUE_BITS = 7
"""Of a bias, without its sign."""
NUDGE = 0.25
"""Part of a step by which an exact power of two is moved: the rule would round it one step off."""


def bias_floats(
    mantissa: np.ndarray, shift: np.ndarray, frac_bits: np.ndarray, scales: np.ndarray
) -> np.ndarray:
    """Return biases that are quantized to ``mantissa << shift``.

    Parameters
    ----------
    mantissa, shift : int arrays of shape (channels,)
    frac_bits, scales : arrays of shape () or (channels,)
        Format of the accumulator.

    Returns
    -------
    float32 array of shape (channels,)
        A value that no bias can have gives its nearest one.
    """
    mantissa, shift = np.int64(mantissa), np.int64(shift)
    values = np.left_shift(mantissa, shift)
    most = np.minimum(VALUE_BITS, frac_bits) + np.zeros(values.shape, np.int64)
    # The rule takes the fewest fractional bits that hold the value, so that a mantissa below half
    # of the largest one has the most bits that there are.
    given = np.asarray(frac_bits, np.int64) - shift
    own = np.where((np.abs(mantissa) >= 2 ** (VALUE_BITS - 1)) & (given <= most), given, most)
    while (large := _steps(values, frac_bits, own) >= 2**VALUE_BITS).any():
        own = own - large
    steps = np.sign(values) * _nudged(_steps(values, frac_bits, own))
    return np.asarray(steps * np.exp2(-own.astype(np.float64)) * scales, np.float32)


def padding_floats(integers: np.ndarray, frac_bits: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return padding values that are quantized to `integers`, in units of an input's format."""
    wanted = np.sign(integers) * _nudged(np.abs(np.int64(integers)), part=1 / 512)
    values = wanted * np.exp2(-np.asarray(frac_bits, np.float64)) * scales
    return np.atleast_1d(np.asarray(values, np.float32))


def _steps(values, frac_bits, own):
    """Return magnitudes in steps of ``2**-own``; -128 steps exist, +128 do not."""
    steps = np.abs(values) / np.exp2(np.asarray(frac_bits - own, np.float64))
    return np.where((values < 0) & (steps == 2**VALUE_BITS), steps - NUDGE, steps)


def _nudged(steps, part=None):
    """Move powers of two up, since ranges that are exact powers of two get a bit too few."""
    mantissa, _ = np.frexp(steps)
    moved = steps + NUDGE if part is None else steps * (1 + part)
    return np.where(mantissa == 0.5, moved, steps)
