"""Cast arrays where every value survives."""

from __future__ import annotations

import numpy as np


def cast_without_loss(array: np.ndarray, dtype) -> np.ndarray | None:
    """Return `array` in another dtype with the same values; None if there is no such array.

    Whole numbers in floats become integers where these hold them, and integers become floats.

    Parameters
    ----------
    array : array
    dtype : dtype or str
        Integer or float.
    """
    dtype = np.dtype(dtype)
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "biuf":
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(dtype)
    return cast if np.array_equal(cast, array) else None
