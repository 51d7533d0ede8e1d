"""Weighted sums of integers by Conv and MatMul in float32, exact below 2**24.

ConvInteger and MatMulInteger would say what is meant, but onnxruntime 1.23 computes them wrongly on
some processors (the last of 32 filters, with AVX-512). Integers below 2**24 are exact in float32,
and so is every partial sum of a product whose bound is below that. Inputs whose bound is not are
split into digits, and so are weights whose sum alone is not.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.exporters.program_onnx.sheet import INT64, Sheet
from simulator.windows import same_padding

Bounds = tuple[int, int]
"""Smallest and largest integer of a tensor."""
EXACT = 1 << 24
"""Integers of at most this size are exact in float32."""


def bounds(bits: int, signed: bool) -> Bounds:
    """Return the bounds of an integer type."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def convolve(
    sheet: Sheet, x: str, limits: Bounds, kernel: np.ndarray, strides, *, depthwise: bool = False
) -> str:
    """Cross-correlate a padded map with a kernel (kh, kw, channels, filters), exactly."""
    kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
    groups = len(kernel) if depthwise else 1

    def product(digit, weights):
        maps = sheet.add("Transpose", digit, perm=[0, 3, 1, 2])
        options = {"group": groups, "strides": list(strides)}
        sums = sheet.add("Conv", maps, weights, **options)
        return sheet.add("Transpose", sums, perm=[0, 2, 3, 1])

    return _in_digits(sheet, x, limits, kernel, product)


def multiply(sheet: Sheet, x: str, limits: Bounds, weights: np.ndarray) -> str:
    """Multiply a matrix (batch, inputs) with weights (inputs, units), exactly."""

    def product(digit, filters):
        return sheet.add("MatMul", digit, filters.T)

    return _in_digits(sheet, x, limits, weights.T, product)


def pad(sheet: Sheet, x: str, sizes, kernel, strides, padding: str, value=0) -> str:
    """Pad a map of `sizes` (height, width) for a window, as `simulator.windows.pad`."""
    if padding == "valid":
        return x
    (top, bottom), (left, right) = (
        same_padding(n, k, s) for n, k, s in zip(sizes, kernel, strides, strict=True)
    )
    if not any((top, bottom, left, right)):
        return x
    around = np.array([0, top, left, 0, 0, bottom, right, 0], INT64)
    if np.ndim(value) == 0:
        return sheet.add("Pad", x, around, INT64(value))
    # A value per channel: zeros around the difference from it.
    moved = sheet.add("Sub", x, np.asarray(value, INT64))
    return sheet.add("Add", sheet.add("Pad", moved, around, INT64(0)), np.asarray(value, INT64))


def spread(sheet: Sheet, x: str, shape, kernel, strides) -> str:
    """Insert ``stride - 1`` zeros after each pixel, and ``kernel - 1`` around the map."""
    height, width, channels = shape
    (sh, sw), (kh, kw) = strides, kernel
    x = sheet.add("Reshape", x, np.array([-1, height, 1, width, 1, channels], INT64))
    x = sheet.add("Pad", x, np.array([0] * 8 + [sh - 1, 0, sw - 1, 0], INT64), INT64(0))
    x = sheet.add("Reshape", x, np.array([-1, height * sh, width * sw, channels], INT64))
    around = np.array([0, kh - 1, kw - 1, 0] * 2, INT64)
    return sheet.add("Pad", x, around, INT64(0))


def crop(sheet: Sheet, x: str, rows, columns) -> str:
    """Return rows and columns of a map, as pairs of (start, end)."""
    starts, ends = (np.array(ends, INT64) for ends in zip(rows, columns, strict=True))
    return sheet.add("Slice", x, starts, ends, np.array([1, 2], INT64))


def max_pool(sheet: Sheet, x: str, shape, size, strides, padding: str) -> str:
    """Return the maximum of each window; MaxPool takes no wide integers."""
    lowest = np.iinfo(INT64).min // 2
    x = pad(sheet, x, shape[:2], size, strides, padding, lowest)
    lengths = _padded(shape, size, strides, padding)
    counts = [(n - k) // s + 1 for n, k, s in zip(lengths, size, strides, strict=True)]
    windows = []
    for i in range(size[0]):
        for j in range(size[1]):
            starts, steps = np.array([i, j], INT64), np.array(strides, INT64)
            ends = starts + (np.array(counts, INT64) - 1) * steps + 1
            windows.append(sheet.add("Slice", x, starts, ends, np.array([1, 2], INT64), steps))
    largest = windows[0]
    for window in windows[1:]:
        largest = sheet.most(largest, window)
    return largest


def _padded(shape, size, strides, padding):
    for n, k, s in zip(shape[:2], size, strides, strict=True):
        yield n if padding == "valid" else n + sum(same_padding(n, k, s))


def _in_digits(sheet, x, limits, weights, product) -> str:
    """Return the exact sums of ``x`` with weights (filters, ...).

    Parameters
    ----------
    limits : pair of int
        Bounds of ``x``.
    product : function of a tensor and weights, both float32, to the tensor of their sums
    """
    low, high = limits
    largest = int(_sums(np.abs(weights.astype(INT64))).max(initial=0))

    def exact(tensor):
        sums = product(sheet.cast(tensor, np.float32), weights.astype(np.float32))
        return sheet.cast(sums, INT64)

    if largest * max(abs(low), abs(high)) < EXACT:
        return exact(x)
    if 2 * largest >= EXACT:
        return _of_halves(sheet, x, limits, weights, product)
    digit = 1 << ((EXACT - 1) // largest).bit_length() - 1
    rest = x if low == 0 else sheet.add("Sub", x, INT64(low))
    place, left, total = 1, high - low, None
    while left or total is None:
        part = sheet.add("Mod", rest, INT64(digit))
        sums = exact(part)
        if place > 1:
            sums = sheet.add("Mul", sums, INT64(place))
        total = sums if total is None else sheet.add("Add", total, sums)
        rest = sheet.add("Div", sheet.add("Sub", rest, part), INT64(digit))
        place, left = place * digit, left // digit
    offset = _sums(weights.astype(INT64)) * low
    return total if low == 0 else sheet.add("Add", total, offset)


def _sums(weights) -> np.ndarray:
    """Return the sum over each filter."""
    return weights.sum(axis=tuple(range(1, weights.ndim)))


def _of_halves(sheet, x, limits, weights, product) -> str:
    """Return the sums with the upper bits of the weights, and with the lower ones, put together."""
    bits = int(np.abs(weights.astype(INT64)).max()).bit_length() // 2
    if not bits:
        raise ModelError(
            f"{sheet.layer}: has {weights[0].size:,} inputs, more than {EXACT // 2:,}, whose sums"
            " float32 does not hold exactly; keep the program as .npz"
        )
    # Of negative weights, too: w = (w >> bits) * 2**bits + (w & mask).
    upper = _in_digits(sheet, x, limits, weights >> bits, product)
    lower = _in_digits(sheet, x, limits, weights & ((1 << bits) - 1), product)
    return sheet.add("Add", sheet.add("Mul", upper, INT64(1 << bits)), lower)
