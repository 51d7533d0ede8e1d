"""Find float kernels that are quantized to given integers, with a given unit of the sum.

The scale of a filter follows from its largest weight alone: ``max|w| / (2**(bits-1) - 1)``, and
1e-6 at least. So a filter that reaches the largest integer can have any scale, and one that does
not reach it only the smallest one.
"""

from __future__ import annotations

import numpy as np

from pipeline.quantization.fixed_point import SMALLEST_SCALE, other_axes, weight_scales

STEPS = np.arange(-4, 5)
"""Neighbours of a float32 that are tried, in units in the last place: each rounding on the way
from a range to the unit of a sum is off by half of one."""
DEPTHWISE_RANGES = np.exp2(np.arange(64) / 64).astype(np.float32)
"""Largest depthwise weights that are tried, until every pointwise filter finds its range."""


def kernel_floats(
    integers: np.ndarray, bits: int, axis: int | None, units: np.ndarray, factor: np.ndarray
) -> np.ndarray:
    """Return a kernel whose integers are the given ones.

    Parameters
    ----------
    integers : int8 array
        In the layout in which the kernel is quantized.
    bits : int
        Width of a weight, sign included.
    axis : int or None
        Axis with a scale per index; None for one scale.
    units : float32 array of shape (integers.shape[axis],) or ()
        Wanted value of ``factor * scale``; filters that do not reach the largest integer, for
        which there is no choice, get another one.
    factor : float32
        Scale of the layer's input.

    Returns
    -------
    float32 array of the same shape
    """
    highest = 2 ** (bits - 1) - 1
    others = other_axes(integers.ndim, axis)
    peaks = np.abs(integers.astype(np.int64)).max(axis=others, keepdims=True)
    full = peaks == highest
    units = np.reshape(units, peaks.shape) if np.ndim(units) else np.full(peaks.shape, units)
    ranges = np.where(full, nearest_ranges(units, bits, factor), peaks * SMALLEST_SCALE)
    ranges = ranges.astype(np.float32)
    scales = scales_of(ranges, bits)
    kernel = (integers * scales).astype(np.float32)
    at_peak = (np.abs(integers.astype(np.int64)) == highest) & full
    return np.where(at_peak, np.sign(integers) * ranges, kernel).astype(np.float32)


def scaled_units(
    integers: np.ndarray, bits: int, axis: int | None, units: np.ndarray, factor: np.ndarray
) -> np.ndarray:
    """Return units times one number, for which filters of the smallest scale have theirs.

    The rate of the layer's output takes the number back; arguments as in `kernel_floats`.
    """
    peaks = np.abs(integers.astype(np.int64)).max(axis=other_axes(integers.ndim, axis))
    forced = np.flatnonzero(np.ravel(peaks < 2 ** (bits - 1) - 1))
    if not forced.size:
        return units
    return np.float32(units * (SMALLEST_SCALE * factor / np.ravel(units)[forced[0]]))


def separable_floats(
    depthwise: np.ndarray, pointwise: np.ndarray, bits: int, units: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both kernels of a fused separable convolution, whose scales are multiplied."""
    best, missed = None, np.inf
    for wanted in DEPTHWISE_RANGES:
        first = kernel_floats(depthwise, bits, None, scales_of(wanted, bits), np.float32(1))
        scale = weight_scales(first, bits, None)
        # The reference multiplies both scales before it multiplies by the input's.
        second = kernel_floats(pointwise, bits, -1, units, np.float32(scale * factor))
        found = np.float32(factor) * (scale * weight_scales(second, bits, -1))
        wrong = np.count_nonzero(found != units)
        if wrong < missed:
            best, missed = (first, second), wrong
        if not wrong:
            break
    return best


def nearest_ranges(units: np.ndarray, bits: int, factor: np.ndarray) -> np.ndarray:
    """Return the largest weights, float32, whose scales times `factor` are nearest to `units`."""
    start = np.asarray(units / np.float64(factor) * (2 ** (bits - 1) - 1), np.float32)
    tried = (start.view(np.int32)[..., None] + STEPS).astype(np.int32).view(np.float32)
    error = np.abs(np.float32(factor) * scales_of(tried, bits) - units[..., None])
    return np.take_along_axis(tried, error.argmin(-1)[..., None], -1)[..., 0]


def scales_of(ranges: np.ndarray, bits: int) -> np.ndarray:
    """Return `weight_scales` of kernels with these largest weights."""
    scales = np.asarray(ranges, np.float32) * (np.float32(1) / np.float32(2 ** (bits - 1) - 1))
    return np.maximum(scales, SMALLEST_SCALE)
