"""Transposed convolutions of float images, in NumPy."""

from __future__ import annotations

import numpy as np

from pipeline.graph.float_kernels import Pair


def conv2d_transpose(x: np.ndarray, kernel: np.ndarray, strides: Pair, padding: str) -> np.ndarray:
    """Apply a transposed convolution: each pixel adds a multiple of the kernel to the output.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
    kernel : float32 array (kh, kw, filters, c)
    strides : pair of int
    padding : {"same", "valid"}

    Returns
    -------
    float32 array (n, rows, columns, filters)
        ``same`` gives h * stride rows, ``valid`` h * stride + max(kh - stride, 0).
    """
    kh, kw, filters, channels = kernel.shape
    taps = np.matmul(x, kernel.reshape(-1, channels).T)
    taps = taps.reshape(*x.shape[:3], kh, kw, filters)
    return _spread(taps, strides, padding)


def depthwise_conv2d_transpose(
    x: np.ndarray, kernel: np.ndarray, strides: Pair, padding: str
) -> np.ndarray:
    """Apply a transposed convolution to each channel with its own kernel.

    Parameters
    ----------
    x : float32 array (n, h, w, c)
    kernel : float32 array (kh, kw, c, 1)
    strides : pair of int
    padding : {"same", "valid"}

    Returns
    -------
    float32 array (n, rows, columns, c)
        Of the size of `conv2d_transpose`.
    """
    return _spread(x[:, :, :, None, None, :] * kernel[..., 0], strides, padding)


def _spread(taps, strides, padding):
    n, h, w, kh, kw, filters = taps.shape
    (sh, sw), rows, columns = strides, h * strides[0], w * strides[1]
    full = np.zeros((n, rows + max(kh - sh, 0), columns + max(kw - sw, 0), filters), np.float32)
    for row in range(kh):
        for column in range(kw):
            full[:, row : row + rows : sh, column : column + columns : sw] += taps[
                :, :, :, row, column
            ]
    if padding == "valid":
        return full
    top, left = max(kh - sh, 0) // 2, max(kw - sw, 0) // 2
    return full[:, top : top + rows, left : left + columns]
