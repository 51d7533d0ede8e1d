"""Integer arithmetic of the datapath: saturation, shifts, requantization.

All functions take and return int64 (or narrower) integers and are exact; the widths that make
them so are stated beside each. The arithmetic is that of QuantizeML 1.2.5 (Apache-2.0), the
public definition of Akida 2.0's integer layers.
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
    values : integer array
    value_bits : int
        Width without the sign; an unsigned container of n bits has n value bits, and like the
        reference does not clip at zero.
    stage : str
        Name under which saturated values are counted.
    tally : function (stage, count), optional
    """
    beyond = outside(values, value_bits)
    if beyond is None:
        return values
    report(tally, stage, beyond)
    return np.clip(values, -(1 << value_bits), (1 << value_bits) - 1)


def outside(values: np.ndarray, value_bits: int) -> np.ndarray | None:
    """Return which integers `saturate` changes, bool; None where it changes none."""
    low, high = -(1 << value_bits), (1 << value_bits) - 1
    if not values.size or (low <= values.min() and values.max() <= high):
        return None
    return (values < low) | (values > high)


def report(tally: Tally | None, stage: str, *masks: np.ndarray | None) -> None:
    """Count each value once that any mask of one stage marks; None marks nothing."""
    marked = [mask for mask in masks if mask is not None]
    if tally is not None and marked:
        tally(stage, int(np.count_nonzero(np.logical_or.reduce(marked))))


def whole_range(bits: int, signed: bool) -> tuple[int, int]:
    """Return the smallest and the largest integer of `bits` bits, the sign included."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def for_each(tally: Tally | None, count: int) -> Tally | None:
    """Return a tally that counts every value `count` times: a register, once per image."""
    return None if tally is None else lambda stage, values: tally(stage, values * count)


def shift_left(values: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Multiply by ``2**shift``; exact while the result fits int64.

    Raises
    ------
    OverflowError
        When ``max|values| * 2**max(shift)`` needs more than 63 bits.
    """
    if not np.any(shift):
        return values
    largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    if largest.bit_length() + int(np.max(shift)) > MAX_SHIFT:
        raise OverflowError(f"a left shift by {int(np.max(shift))} of {largest} leaves 63 bits")
    return np.left_shift(values.astype(np.int64, copy=False), np.asarray(shift, np.int64))


def round_shift(values: np.ndarray, shift: np.ndarray, value_bits: int) -> np.ndarray:
    """Multiply by ``2**shift``, halves rounding up: ``floor(values * 2**shift + 0.5)``.

    Parameters
    ----------
    values : int64 array of shape (..., channels), at most 40 bits
    shift : int array of shape () or (channels,)
        Positive is a left shift, negative a right shift.
    value_bits : int
        Width, without sign, to which the caller will saturate the result. Values beyond it are
        clipped *before* a left shift, so that no left shift can overflow int64.

    Returns
    -------
    int64 array, not yet saturated.
    """
    values = values.astype(np.int64, copy=False)
    shift = np.asarray(shift, np.int64)
    right = np.clip(-shift, 0, MAX_SHIFT)
    if right.any():
        # 2**(right - 1) is at most 2**61, so the sum stays inside int64 for |values| < 2**62.
        half = np.where(right > 0, np.left_shift(np.int64(1), np.maximum(right - 1, 0)), 0)
        values = np.right_shift(values + half, right)
    # Any value but zero leaves the width after value_bits + 1 places.
    left = np.clip(shift, 0, value_bits + 1)
    if left.any():
        # The first value beyond the width still leaves it, and needs value_bits + 3 bits at most.
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
    """Scale accumulators down to an output: ``saturate(round((potentials * scales) << shift))``.

    Parameters
    ----------
    potentials : int64 array of shape (n, h, w, channels), at most 33 bits
    scales : unsigned int array of shape (channels,) or None
        Mantissas, at most 16 bits; None multiplies by one.
    shift : int array of shape () or (channels,)
    value_bits : int
        Output width without the sign.
    buffer_bits : int
        The product saturates at this many value bits (the reference keeps 32, sign apart).

    Returns
    -------
    int32 array, same shape, in units of the output's scale.
    """
    if scales is not None:
        # 33 bits times 16 bits stay inside int64.
        potentials = potentials.astype(np.int64, copy=False) * scales.astype(np.int64)
        potentials = saturate(potentials, buffer_bits, f"{stage} product", tally)
    values = round_shift(potentials, shift, value_bits)
    return saturate(values, value_bits, stage, tally).astype(np.int32)
