"""Exact integer linear algebra: convolutions, dense products, pooling.

Products run in floating-point BLAS. They are exact while every partial sum fits the mantissa:
``max|x| * max_f sum|w_f| < 2**24`` for float32, ``2**53`` for float64, in any order of summation.
`_exact_dtype` checks that bound on the actual values before every product.
"""

from __future__ import annotations

import numpy as np

from simulator.windows import pad, same_padding, sliding


def _exact_dtype(x: np.ndarray, weight_sums: np.ndarray) -> type:
    """Return the narrowest float dtype that holds every partial sum exactly."""
    if not x.size:
        return np.float32
    largest = max(abs(int(x.min())), abs(int(x.max())))
    bound = largest * int(weight_sums.max(initial=0))
    if bound < 2**24 and largest < 2**24:
        return np.float32
    if bound < 2**53:
        return np.float64
    raise OverflowError(f"accumulators may reach {bound}, beyond 2**53: the sum is not exact")


def matmul(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Multiply integer matrices exactly: (m, k) times (k, f) is int64 (m, f).

    Raises
    ------
    OverflowError
        If a sum may exceed 2**53; so do all convolutions of this module.
    """
    dtype = _exact_dtype(x, np.abs(weights.astype(np.int64)).sum(axis=0))
    return (x.astype(dtype) @ weights.astype(dtype)).astype(np.int64)


def conv2d(x, weights, strides, padding, padding_value=0) -> np.ndarray:
    """Cross-correlate NHWC integers with an HWIO kernel.

    Parameters
    ----------
    x : int array (n, h, w, c)
    weights : int array (kh, kw, c, f)
    strides : pair of int
    padding : {"same", "valid"}
    padding_value : int or int array (c,)

    Returns
    -------
    int64 array (n, oh, ow, f), exact.
    """
    kernel = weights.shape[:2]
    x = pad(x, kernel, strides, padding, padding_value)
    dtype = _exact_dtype(x, np.abs(weights.astype(np.int64)).sum(axis=(0, 1, 2)))
    x = x.astype(dtype)
    flat = weights.astype(dtype).reshape(-1, weights.shape[3])
    if kernel == (1, 1):
        x = x[:, :: strides[0], :: strides[1]]
        return (x.reshape(-1, x.shape[3]) @ flat).astype(np.int64).reshape(*x.shape[:3], -1)
    view = sliding(x, kernel, strides)
    columns = view.reshape(-1, flat.shape[0])
    return (columns @ flat).astype(np.int64).reshape(*view.shape[:3], -1)


def depthwise_conv2d(x, weights, strides, padding) -> np.ndarray:
    """Cross-correlate each channel with its own kernel.

    Parameters
    ----------
    x : int array (n, h, w, c)
    weights : int array (kh, kw, c, 1)

    Returns
    -------
    int64 array (n, oh, ow, c), exact.
    """
    kernel = weights.shape[:2]
    x = pad(x, kernel, strides, padding)
    dtype = _exact_dtype(x, np.abs(weights.astype(np.int64)).sum(axis=(0, 1)))
    view = sliding(x.astype(dtype), kernel, strides)
    return np.einsum("nhwijc,ijc->nhwc", view, weights[..., 0].astype(dtype)).astype(np.int64)


def _scatter_windows(products, kernel, strides, padding) -> np.ndarray:
    """Add up the window of every input pixel: (n, h, w, kh, kw, f) to (n, oh, ow, f)."""
    n, h, w, kh, kw, f = products.shape
    (kh, kw), (sh, sw) = kernel, strides
    full_h, full_w = (h - 1) * sh + kh, (w - 1) * sw + kw
    if padding == "same":
        (top, _), (left, _) = same_padding(h * sh, kh, sh), same_padding(w * sw, kw, sw)
        oh, ow = h * sh, w * sw
    else:
        top = left = 0
        oh, ow = h * sh + max(kh - sh, 0), w * sw + max(kw - sw, 0)
    full = np.zeros((n, max(full_h, top + oh), max(full_w, left + ow), f), products.dtype)
    for i in range(kh):
        for j in range(kw):
            full[:, i : i + h * sh : sh, j : j + w * sw : sw][:, :h, :w] += products[:, :, :, i, j]
    return full[:, top : top + oh, left : left + ow]


def conv2d_transpose(x, weights, strides, padding) -> np.ndarray:
    """Apply the transpose of a convolution (the gradient of ``same``/``valid``).

    Parameters
    ----------
    x : int array (n, h, w, c)
    weights : int array (kh, kw, c, f)

    Returns
    -------
    int64 array, exact
        Shape (n, h * s, w * s, f) for ``same``; ``max(k - s, 0)`` larger per axis for ``valid``.
    """
    kh, kw, c, f = weights.shape
    n, h, w, _ = x.shape
    sums = np.abs(weights.astype(np.int64)).sum(axis=(0, 1, 2))
    dtype = _exact_dtype(x, sums)
    flat = weights.astype(dtype).transpose(2, 0, 1, 3).reshape(c, -1)
    products = (x.astype(dtype).reshape(-1, c) @ flat).reshape(n, h, w, kh, kw, f)
    return _scatter_windows(products.astype(np.int64), (kh, kw), strides, padding)


def depthwise_conv2d_transpose(x, weights, strides, padding) -> np.ndarray:
    """Apply the transpose of a depthwise convolution; weights (kh, kw, c, 1)."""
    x = x.astype(np.int64, copy=False)
    products = x[:, :, :, None, None, :] * weights[..., 0].astype(np.int64)
    return _scatter_windows(products, weights.shape[:2], strides, padding)


def max_pool(x, size, strides, padding) -> np.ndarray:
    """Return the maximum of each window; padding never is the maximum."""
    lowest = np.iinfo(x.dtype).min
    view = sliding(pad(x, size, strides, padding, lowest), size, strides)
    return view.max(axis=(3, 4))


def global_sum(x) -> np.ndarray:
    """Sum over height and width and keep the axes: (n, h, w, c) to int64 (n, 1, 1, c)."""
    return x.sum(axis=(1, 2), keepdims=True, dtype=np.int64)
