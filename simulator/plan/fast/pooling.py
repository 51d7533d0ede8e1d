"""Max pooling of the ``fast`` backend."""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)
def max_pool(x, size, strides, padding, low, high, out):
    """Write the largest level of each window, clipped; return the number of saturated values.

    Parameters
    ----------
    x : int16 (n, h, w, c)
        Levels; a saturated one is beyond `low` or `high`.
    size, strides, padding : pairs of int
        Padding before the first row and column, which never is the maximum.
    low : int
    high : int16 (c,)
    out : int16 (n, oh, ow, c)
    """
    images, rows, columns, channels = out.shape
    height, width = x.shape[1], x.shape[2]
    saturated = 0
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                best = out[image, row, column]
                best[:] = -32768
                top, left = row * strides[0] - padding[0], column * strides[1] - padding[1]
                for y in range(max(top, 0), min(top + size[0], height)):
                    for z in range(max(left, 0), min(left + size[1], width)):
                        values = x[image, y, z]
                        for channel in range(channels):
                            best[channel] = max(best[channel], values[channel])
                for channel in range(channels):
                    value = best[channel]
                    inside = min(max(value, low), high[channel])
                    saturated += value != inside
                    best[channel] = inside
    return saturated
