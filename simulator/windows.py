"""Geometry of convolution and pooling windows: sizes, padding, sliding views."""

from __future__ import annotations

import numpy as np


def output_length(size: int, kernel: int, stride: int, padding: str) -> int:
    """Return the output length of one axis for `padding` ``same`` or ``valid``."""
    if padding == "same":
        return -(-size // stride)
    return (size - kernel) // stride + 1


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the number of pixels added before and after one axis; the odd one is added after."""
    total = max((output_length(size, kernel, stride, "same") - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad(x: np.ndarray, kernel, strides, padding: str, value=0) -> np.ndarray:
    """Pad an NHWC array for the windows of a convolution or pooling.

    Parameters
    ----------
    x : array of shape (n, h, w, c)
    kernel, strides : pairs of int
    padding : {"same", "valid"}
    value : number or array of shape (c,)
        Value of the padding.

    Returns
    -------
    array of shape (n, padded h, padded w, c), same dtype; `x` itself if nothing is added.
    """
    if padding == "valid":
        return x
    (top, bottom), (left, right) = (
        same_padding(n, k, s) for n, k, s in zip(x.shape[1:3], kernel, strides, strict=True)
    )
    if not (top or bottom or left or right):
        return x
    n, h, w, c = x.shape
    padded = np.empty((n, h + top + bottom, w + left + right, c), x.dtype)
    padded[...] = value
    padded[:, top : top + h, left : left + w] = x
    return padded


def sliding(x: np.ndarray, kernel, strides) -> np.ndarray:
    """Return a read-only view (n, oh, ow, kh, kw, c) of all windows of a padded array."""
    n, h, w, c = x.shape
    oh, ow = ((size - k) // s + 1 for size, k, s in zip((h, w), kernel, strides, strict=True))
    sn, sh, sw, sc = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (n, oh, ow, *kernel, c),
        (sn, sh * strides[0], sw * strides[1], sh, sw, sc),
        writeable=False,
    )
