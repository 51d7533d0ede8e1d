"""Integer arithmetic of the datapath: saturation, shifts, requantization.

All functions take and return int64 (or narrower) integers and are exact up to the widths that each
of them documents. The arithmetic is that of QuantizeML 1.2.5 (Apache-2.0), the public definition of
Akida 2.0's integer layers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Tally = Callable[[str, int], None]
"""Called as ``tally(stage, count)`` with the number of values that saturated."""

MAX_SHIFT = 62
"""Largest shift of an int64; a larger right shift of a 33-bit value gives the same result."""


def saturate(
    values: np.ndarray, value_bits: int, stage: str = "", tally: Tally | None = None
) -> np.ndarray:
    """Clip integers to ``[-2**value_bits, 2**value_bits - 1]``.

    Parameters
    ----------
    values : int array
    value_bits : int
        Width without the sign. An unsigned container of n bits has n value bits and, as in the
        reference, is not clipped at zero.
    stage : str
        Name under which saturated values are counted.
    tally : function (stage, count), optional
        Called with the number of saturated values if there are any.

    Returns
    -------
    int array, same shape and dtype.
    """
    beyond = outside(values, value_bits)
    if beyond is None:
        return values
    report(tally, stage, beyond)
    return np.clip(values, -(1 << value_bits), (1 << value_bits) - 1)


def outside(values: np.ndarray, value_bits: int) -> np.ndarray | None:
    """Return a bool mask of the integers that `saturate` changes; None if it changes none."""
    low, high = -(1 << value_bits), (1 << value_bits) - 1
    if not values.size or (low <= values.min() and values.max() <= high):
        return None
    return (values < low) | (values > high)


def report(tally: Tally | None, stage: str, *masks: np.ndarray | None) -> None:
    """Count the values marked by at least one mask of a stage; a mask of None marks nothing."""
    marked = [mask for mask in masks if mask is not None]
    if tally is not None and marked:
        tally(stage, int(np.count_nonzero(np.logical_or.reduce(marked))))


def integer_range(bits: int, signed: bool) -> tuple[int, int]:
    """Return the smallest and the largest integer of `bits` bits, sign included."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def for_each(tally: Tally | None, count: int) -> Tally | None:
    """Return a tally that counts every value `count` times: register values, once per image."""
    return None if tally is None else lambda stage, values: tally(stage, values * count)


def shift_left(values: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Multiply int64 values by ``2**shift``, exactly.

    Raises
    ------
    OverflowError
        If ``max|values| * 2**max(shift)`` needs more than 62 bits.
    """
    if not np.any(shift):
        return values
    largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    if largest.bit_length() + int(np.max(shift)) > MAX_SHIFT:
        raise OverflowError(f"a left shift by {int(np.max(shift))} of {largest} exceeds 63 bits")
    return np.left_shift(values.astype(np.int64, copy=False), np.asarray(shift, np.int64))


def round_shift(values: np.ndarray, shift: np.ndarray, value_bits: int) -> np.ndarray:
    """Multiply by ``2**shift`` and round half up: ``floor(values * 2**shift + 0.5)``.

    Parameters
    ----------
    values : int64 array of shape (..., channels), at most 40 bits
    shift : int array of shape () or (channels,)
        Positive is a left shift, negative a right shift.
    value_bits : int
        Width, without sign, to which the caller saturates the result. Values beyond it are clipped
        *before* a left shift, so that no left shift overflows int64.

    Returns
    -------
    int64 array, same shape, not yet saturated.
    """
    values = values.astype(np.int64, copy=False)
    shift = np.asarray(shift, np.int64)
    right = np.clip(-shift, 0, MAX_SHIFT)
    if right.any():
        # 2**(right - 1) is at most 2**61, so the sum stays inside int64 for |values| < 2**62.
        half = np.where(right > 0, np.left_shift(np.int64(1), np.maximum(right - 1, 0)), 0)
        values = np.right_shift(values + half, right)
    # A left shift by value_bits + 1 already takes every nonzero value beyond the width.
    left = np.clip(shift, 0, value_bits + 1)
    if left.any():
        # Values clipped to just beyond the width still saturate, and need value_bits + 3 bits.
        bound = np.right_shift(np.int64(1 << value_bits), left) + 1
        clipped = np.clip(values, -bound, bound)
        values = np.where(left > 0, np.left_shift(clipped, left), values)
    return values


def requantize(
    potentials: np.ndarray,
    scales: np.ndarray | None,
    shift: np.ndarray,
    *,
    value_bits: int,
    buffer_bits: int,
    stage: str = "output",
    tally: Tally | None = None,
) -> np.ndarray:
    """Scale accumulators to the output: ``saturate(round((potentials * scales) << shift))``.

    Parameters
    ----------
    potentials : int64 array of shape (n, h, w, channels), at most 33 bits
    scales : unsigned int array of shape (channels,) or None
        Mantissas, at most 16 bits; None multiplies by one.
    shift : int array of shape () or (channels,)
    value_bits : int
        Output width without the sign.
    buffer_bits : int
        Value bits at which the product saturates (32 in the reference, plus a sign).

    Returns
    -------
    int32 array, same shape, in units of the output's scale.
    """
    if scales is not None:
        # A product of 33 and 16 bits fits int64.
        potentials = potentials.astype(np.int64, copy=False) * scales.astype(np.int64)
        potentials = saturate(potentials, buffer_bits, f"{stage} product", tally)
    values = round_shift(potentials, shift, value_bits)
    return saturate(values, value_bits, stage, tally).astype(np.int32)
