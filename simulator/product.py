"""Product of float matrices, in parts of the size that BLAS multiplies fastest."""

from __future__ import annotations

import numpy as np

SMALL = 1_000_000
"""Products of numbers up to which OpenBLAS multiplies without copying (packing) its operands, on
processors with AVX-512. Elsewhere parts of this size cost next to nothing."""

FEWEST_ROWS = 100
"""Rows of a part below which copying the weights is a small share anyway."""


def multiply(x: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Write ``x @ weights`` to `out`; all contiguous, of one dtype.

    Parameters
    ----------
    x : float array (rows, depth)
    weights : float array (depth, filters)
    out : float array (rows, filters)
    """
    count, (depth, filters) = len(x), weights.shape
    rows = SMALL // max(1, depth * filters)
    if rows < FEWEST_ROWS or rows >= count:
        np.matmul(x, weights, out=out)
        return
    whole = count - count % rows
    np.matmul(
        x[:whole].reshape(-1, rows, depth), weights, out=out[:whole].reshape(-1, rows, filters)
    )
    if whole < count:
        np.matmul(x[whole:], weights, out=out[whole:])
