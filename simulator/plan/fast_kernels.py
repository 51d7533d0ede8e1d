"""Compiled loops of the ``fast`` backend (numba); imported only when it is used.

The arithmetic of a staircase is the proven float expression of `simulator.plan.proofs`; numba keeps
multiplication and addition apart (no contraction), so results are NumPy's.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def requantize(sums, digits, m, c, low, high, over, counted, out):
    """Write the staircase of accumulators; return how many saturate.

    Parameters
    ----------
    sums : int32 (positions, digits * filters)
        Partial products of each weight digit, lowest first; a digit is worth 128 of the one before.
    digits : int
    m, c, high, over : float32 or float64 (filters,)
    low : float of the same type
    counted : (bool, bool)
        Whether values above and below can saturate.
    out : uint8 or int8 (positions, filters)
    """
    positions, filters = out.shape
    saturated = 0
    for p in range(positions):
        for f in range(filters):
            total = np.int32(sums[p, f])
            if digits > 1:
                # Bounded below 2**24 as a whole, whatever its parts.
                wide = np.int64(total)
                for d in range(1, digits):
                    wide += np.int64(sums[p, d * filters + f]) << (7 * d)
                total = np.int32(wide)
            value = total * m[f] + c[f]
            if counted[0] and value >= over[f]:
                saturated += 1
            if counted[1] and value < low:
                saturated += 1
            value = min(max(value, low), high[f])
            out[p, f] = np.int32(np.floor(value))
    return saturated


@numba.njit(cache=True, nogil=True)
def join_digits(sums, digits, out):
    """Write accumulators int64 (positions, filters) of partial products by weight digit."""
    positions, filters = out.shape
    for p in range(positions):
        for f in range(filters):
            total = np.int64(sums[p, f])
            for d in range(1, digits):
                total += np.int64(sums[p, d * filters + f]) << (7 * d)
            out[p, f] = total


@numba.njit(cache=True, nogil=True)
def depthwise(x, weights, sh, sw, row, m, c, low, high, over, counted, out):
    """Convolve each channel and write the staircase; return how many values saturate.

    Parameters
    ----------
    x : uint8 or int8 (n, h, w, c), padded
    weights : int32 (kh, kw, c)
    row : int32 (c,)
        Workspace.
    m, c, low, high, over, counted, out : as in `requantize`; out (n, oh, ow, c)
    """
    n, oh, ow, channels = out.shape
    kh, kw, _ = weights.shape
    saturated = 0
    for i in range(n):
        for r in range(oh):
            for s in range(ow):
                for f in range(channels):
                    row[f] = 0
                for a in range(kh):
                    for b in range(kw):
                        for f in range(channels):
                            row[f] += np.int32(x[i, r * sh + a, s * sw + b, f]) * weights[a, b, f]
                for f in range(channels):
                    value = row[f] * m[f] + c[f]
                    if counted[0] and value >= over[f]:
                        saturated += 1
                    if counted[1] and value < low:
                        saturated += 1
                    value = min(max(value, low), high[f])
                    out[i, r, s, f] = np.int32(np.floor(value))
    return saturated


@numba.njit(cache=True, nogil=True)
def max_pool(x, ph, pw, sh, sw, top, left, out):
    """Take the largest value of each window inside the image; padding is never chosen."""
    n, oh, ow, channels = out.shape
    height, width = x.shape[1], x.shape[2]
    for i in range(n):
        for r in range(oh):
            for s in range(ow):
                first = True
                for a in range(ph):
                    for b in range(pw):
                        y, z = r * sh + a - top, s * sw + b - left
                        if y < 0 or z < 0 or y >= height or z >= width:
                            continue
                        for f in range(channels):
                            if first or x[i, y, z, f] > out[i, r, s, f]:
                                out[i, r, s, f] = x[i, y, z, f]
                        first = False
