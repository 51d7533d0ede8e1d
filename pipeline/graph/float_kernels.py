"""Float32 kernels of convolutions and pools: NHWC arrays in, NHWC arrays out.

Padding is explicit (`pipeline.graph.windows` turns names into numbers), so that a convolution may
pad its input with any value.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from simulator.product import multiply

Pair = tuple[int, int]

_BLOCK_VALUES = 3 << 16
"""Values of a matrix of windows: 768 KiB of float32, which stay in the second-level cache."""


def pad(x: np.ndarray, rows: Pair, columns: Pair, value: float | np.ndarray = 0) -> np.ndarray:
    """Pad images with a constant, or with one constant per channel.

    Parameters
    ----------
    x : array of shape (n, h, w, c)
    rows, columns : pair of int
        Pixels added (before, after).
    value : float or array of shape (c,)
    """
    if not any((*rows, *columns)):
        return x
    n, h, w, c = x.shape
    out = np.empty((n, h + sum(rows), w + sum(columns), c), x.dtype)
    lines = out[:, rows[0] : rows[0] + h]
    # The borders alone, which are few.
    for border in (
        out[:, : rows[0]],
        out[:, rows[0] + h :],
        lines[:, :, : columns[0]],
        lines[:, :, columns[0] + w :],
    ):
        border[...] = value
    lines[:, :, columns[0] : columns[0] + w] = x
    return out


def windows(x: np.ndarray, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)) -> np.ndarray:
    """Return a read-only view of all windows that are inside the images.

    Parameters
    ----------
    x : array of shape (n, h, w, c)
    kernel, strides, dilation : pair of int

    Returns
    -------
    array of shape (n, rows, columns, kh, kw, c)
    """
    n, h, w, c = x.shape
    kh, kw = kernel
    rows = (h - (kh - 1) * dilation[0] - 1) // strides[0] + 1
    columns = (w - (kw - 1) * dilation[1] - 1) // strides[1] + 1
    sn, sh, sw, sc = x.strides
    shape = (n, rows, columns, kh, kw, c)
    steps = (sn, sh * strides[0], sw * strides[1], sh * dilation[0], sw * dilation[1], sc)
    return as_strided(x, shape, steps, writeable=False)


def conv2d(
    x: np.ndarray, kernel: np.ndarray, strides: Pair = (1, 1), dilation: Pair = (1, 1), groups=1
) -> np.ndarray:
    """Cross-correlate images with a kernel.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
        Images, padded already.
    kernel : float32 array (kh, kw, c / groups, filters)
    strides, dilation : pair of int
    groups : int
        Groups of channels, each with its own filters.

    Returns
    -------
    float32 array (n, rows, columns, filters)
        Only windows inside the images.
    """
    kh, kw, channels, filters = kernel.shape
    if groups > 1:
        parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
        return np.concatenate([conv2d(a, k, strides, dilation) for a, k in parts], -1)
    matrix = np.ascontiguousarray(kernel.reshape(-1, filters))
    view = windows(x, (kh, kw), strides, dilation)
    n, rows, columns = view.shape[:3]
    out = np.empty((n, rows, columns, filters), np.float32)
    if (kh, kw, *strides) == (1, 1, 1, 1) and x.flags.c_contiguous:
        multiply(x.reshape(-1, channels), matrix, out.reshape(-1, filters))
        return out
    patches = np.empty((0, len(matrix)), np.float32)
    for images, lines in _blocks(n, rows, columns * len(matrix)):
        part, target = view[images, lines], out[images, lines].reshape(-1, filters)
        if len(patches) < len(target):
            patches = np.empty((len(target), len(matrix)), np.float32)
        np.copyto(patches[: len(target)].reshape(part.shape), part)
        multiply(patches[: len(target)], matrix, target)
    return out


def _blocks(images: int, rows: int, row_values: int):
    """Yield (images, rows) of blocks whose windows have about `_BLOCK_VALUES` values."""
    lines = max(1, _BLOCK_VALUES // max(1, row_values))
    if lines >= rows:
        several = max(1, lines // max(1, rows))
        for start in range(0, images, several):
            yield slice(start, start + several), slice(0, rows)
        return
    for image in range(images):
        for start in range(0, rows, lines):
            yield slice(image, image + 1), slice(start, start + lines)


def depthwise_conv2d(
    x: np.ndarray, kernel: np.ndarray, strides: Pair = (1, 1), dilation: Pair = (1, 1)
) -> np.ndarray:
    """Cross-correlate each channel of images with its own kernels.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
        Images, padded already.
    kernel : float32 array (kh, kw, c, multiplier)
    strides, dilation : pair of int

    Returns
    -------
    float32 array (n, rows, columns, c * multiplier)
        Channel ``i * multiplier + j`` is input channel i, filtered by its j-th kernel.
    """
    kh, kw, channels, multiplier = kernel.shape
    matrix = kernel.reshape(kh, kw, channels * multiplier)
    x = x.repeat(multiplier, -1) if multiplier > 1 else np.ascontiguousarray(x)
    n, rows, columns = windows(x, (kh, kw), strides, dilation).shape[:3]
    length = columns * channels * multiplier
    image, line, pixel, item = x.strides
    tap = pixel * dilation[1]
    if strides[1] != 1:
        # Bring the inputs of each tap together.
        shape = (n, x.shape[1], kw, columns, channels * multiplier)
        steps = (image, line, tap, pixel * strides[1], item)
        x = np.ascontiguousarray(as_strided(x, shape, steps))
        image, line, tap = x.strides[:3]
    # Adjacent windows are adjacent in memory: one inner loop covers a row of outputs.
    steps = (image, line * strides[0], line * dilation[0], tap, item)
    lines = as_strided(x, (n, rows, kh, kw, length), steps, writeable=False)
    out = np.empty((n, rows, columns, channels * multiplier), np.float32)
    weights = np.tile(matrix, columns)
    np.einsum("nhijq,ijq->nhq", lines, weights, out=out.reshape(n, rows, length))
    return out


def scale_and_shift(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return ``x * scale + shift`` per channel, the last axis.

    The vectors are repeated over a row of the image, since loops over channels alone are mostly
    overhead; the result equals that of plain broadcasting.

    Parameters
    ----------
    x : array of shape (n, ..., c)
    scale, shift : array of shape (c,)
    """
    repeats = x.shape[2] if x.ndim == 4 else 1
    lines = x.reshape(-1, repeats * x.shape[-1])
    return shifted((lines * np.tile(scale, repeats)).reshape(x.shape), shift)


def shifted(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return ``x + shift`` per channel, in place if `x` is contiguous; see `scale_and_shift`."""
    repeats = x.shape[2] if x.ndim == 4 else 1
    lines = x.reshape(-1, repeats * x.shape[-1])
    lines += np.tile(shift, repeats)
    return lines.reshape(x.shape)


def max_pool(x: np.ndarray, pool: Pair, strides: Pair) -> np.ndarray:
    """Return the maximum of each window.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
        Images, padded with -inf.
    pool, strides : pair of int

    Returns
    -------
    float32 array (n, rows, columns, c)
    """
    view = windows(x, pool, strides)
    out = view[:, :, :, 0, 0].copy()
    for row in range(pool[0]):
        for column in range(pool[1]):
            np.maximum(out, view[:, :, :, row, column], out=out)
    return out


def sum_pool(x: np.ndarray, pool: Pair, strides: Pair) -> np.ndarray:
    """Return the sum of each window.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
        Images, padded with zeros.
    pool, strides : pair of int

    Returns
    -------
    float32 array (n, rows, columns, c)
    """
    view = windows(x, pool, strides)
    out = np.zeros_like(view[:, :, :, 0, 0])
    for row in range(pool[0]):
        for column in range(pool[1]):
            out += view[:, :, :, row, column]
    return out


def interpolated(x: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Enlarge an axis by linear interpolation between the centres of pixels, edges repeated.

    Parameters
    ----------
    x : float32 array
    factor : int
    axis : int
    """
    size = x.shape[axis]
    places = (np.arange(size * factor) + 0.5) / factor - 0.5
    first = np.floor(places)
    shares = np.float32(places - first).reshape([-1 if n == axis else 1 for n in range(x.ndim)])
    low, high = (np.clip(first + step, 0, size - 1).astype(int) for step in (0, 1))
    return x.take(low, axis) * (1 - shares) + x.take(high, axis) * shares


def temporal_windows(x: np.ndarray, past: np.ndarray, steps: int, streams: int) -> list[np.ndarray]:
    """Return the images as they were 0..steps-1 time steps ago, oldest first.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
        Interleaved streams: image i belongs to stream ``i % streams``.
    past : float32 array ((steps - 1) * streams, h, w, c)
        The images before the first one; zeros after a reset.

    Returns
    -------
    list of `steps` arrays of the shape of `x`
    """
    line = np.concatenate([past, x])
    return [line[step * streams : step * streams + len(x)] for step in range(steps)]
