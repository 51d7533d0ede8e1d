"""Integer arithmetic in TensorFlow, exact, with straight-through gradients.

Tensors are floats that hold integers. A product runs in float32 where every partial sum is below
2**24 in magnitude, else in float64 (below 2**53): it is exact in any order of summation, as in
`simulator.kernels`. Sums are float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from simulator.windows import same_padding


class Integers(NamedTuple):
    """Integers with a bound of their magnitude, which decides how they are computed with.

    Attributes
    ----------
    values : float32 or float64 tensor
    largest : float
    """

    values: tf.Tensor
    largest: float


def product_dtype(largest: float) -> tf.DType:
    """Return the narrowest dtype that is exact for sums of magnitude `largest`.

    Raises
    ------
    OverflowError
        If none is.
    """
    if largest < 2**24:
        return tf.float32
    if largest < 2**53:
        return tf.float64
    raise OverflowError(f"accumulators may reach {largest:.3g}, beyond 2**53: the sum is not exact")


def straight(exact: tf.Tensor, through: tf.Tensor) -> tf.Tensor:
    """Return the value of `exact` with the gradient of `through`."""
    return tf.stop_gradient(exact) + (through - tf.stop_gradient(through))


def requantized(sums: tf.Tensor, scale: tf.Tensor, widest, value_bits: int) -> tf.Tensor:
    """Return ``saturate(floor(sums * scale + 1/2))``, float32.

    The gradient is that of ``sums * scale`` where this is in range, else 0.

    Parameters
    ----------
    sums : tensor of shape (..., channels)
    scale : float64 tensor of shape (channels,)
        With a mantissa of at most 16 bits, so that the product is exact.
    widest : pair of float64 arrays or tensors of shape (channels,), or None
        Where the product saturates before its shift; None where that is beyond `value_bits`.
    value_bits : int
        Width of the output without its sign.
    """

    @tf.custom_gradient
    def rounded(sums, scale):
        real = tf.cast(sums, tf.float64) * scale
        if widest is not None:
            real = tf.clip_by_value(real, *widest)
        low, high = -(2.0**value_bits), 2.0**value_bits - 1
        inside = tf.logical_and(real >= low, real <= high)

        def gradient(upper):
            upper = tf.where(inside, upper, 0.0)
            to_scale = _by_channel(upper * tf.cast(sums, tf.float32))
            to_sums = tf.cast(upper * tf.cast(scale, tf.float32), sums.dtype)
            return to_sums, tf.cast(to_scale, tf.float64)

        return tf.cast(tf.clip_by_value(tf.floor(real + 0.5), low, high), tf.float32), gradient

    return rounded(sums, scale)


def activated(sums: tf.Tensor, threshold: tf.Tensor, step: tf.Tensor, highest: float) -> tf.Tensor:
    """Return the levels of Akida 1.0, ``clip(ceil((sums - threshold) / step), 0, highest)``.

    The gradient is that of the quotient where this is in range, else 0.

    Parameters
    ----------
    sums : tensor of shape (..., channels)
    threshold, step : float64 tensors of shape (channels,)
    highest : float
    """

    @tf.custom_gradient
    def rounded(sums, threshold, step):
        real = (tf.cast(sums, tf.float64) - threshold) / step
        inside = tf.logical_and(real >= 0.0, real <= highest)

        def gradient(upper):
            upper = tf.where(inside, upper / tf.cast(step, tf.float32), 0.0)
            to_step = -_by_channel(upper * tf.cast(real, tf.float32))
            to_threshold = -_by_channel(upper)
            to_both = (tf.cast(part, tf.float64) for part in (to_threshold, to_step))
            return tf.cast(upper, sums.dtype), *to_both

        return tf.cast(tf.clip_by_value(tf.math.ceil(real), 0.0, highest), tf.float32), gradient

    return rounded(sums, threshold, step)


def _by_channel(values: tf.Tensor) -> tf.Tensor:
    """Sum over all axes but the last."""
    return tf.reduce_sum(tf.reshape(values, (-1, values.shape[-1])), 0)


def shifted(x: Integers, shift: np.ndarray | None, value_bits: int) -> Integers:
    """Return integers shifted left, by channel, and saturated to `value_bits`."""
    if shift is None or not np.any(shift):
        return x
    factor = np.exp2(shift.astype(np.float64))
    largest = x.largest * factor.max()
    dtype = product_dtype(largest)
    values = tf.cast(x.values, dtype) * tf.constant(factor, dtype)
    return saturated(Integers(values, largest), value_bits)


def saturated(x: Integers, value_bits: int) -> Integers:
    """Clip integers to ``[-2**value_bits, 2**value_bits - 1]``; nothing if they are inside."""
    if x.largest < 2**value_bits:
        return x
    # The bound has up to 32 bits, which float32 does not hold.
    limit, values = 2.0**value_bits, tf.cast(x.values, tf.float64)
    return Integers(tf.clip_by_value(values, -limit, limit - 1), limit)


def padded(x: tf.Tensor, kernel, strides, padding: str, value=0) -> tf.Tensor:
    """Pad NHWC maps for "same" windows as `simulator.windows.pad` does."""
    if padding == "valid":
        return x
    sides = [same_padding(n, k, s) for n, k, s in zip(x.shape[1:3], kernel, strides, strict=True)]
    if not np.any(sides):
        return x
    value = tf.constant(value, x.dtype)
    return tf.pad(x - value, [(0, 0), *sides, (0, 0)]) + value


def dense(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiply the last axis with a matrix."""
    return tf.tensordot(x, kernel, 1) if len(x.shape) > 2 else tf.matmul(x, kernel)


def convolution(x, kernel, strides, padding, padding_value=0) -> tf.Tensor:
    """Cross-correlate NHWC maps with an HWIO kernel."""
    x = padded(x, kernel.shape[:2], strides, padding, padding_value)
    return tf.nn.conv2d(x, kernel, list(strides), "VALID")


def depthwise(x, kernel, strides, padding) -> tf.Tensor:
    """Cross-correlate each channel with its own kernel, (kh, kw, channels, 1)."""
    x = padded(x, kernel.shape[:2], strides, padding)
    if strides[0] == strides[1]:
        return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], "VALID")
    # TensorFlow's kernel takes one stride for both axes.
    return tf.nn.depthwise_conv2d(x, kernel, [1] * 4, "VALID")[:, :: strides[0], :: strides[1]]


def transposed(x, kernel, strides, padding) -> tf.Tensor:
    """Apply the transpose of a convolution; the kernel is (kh, kw, channels, filters)."""
    sizes = _upsampled(x, kernel, strides, padding)
    shape = [tf.shape(x)[0], *sizes, kernel.shape[3]]
    turned = tf.transpose(kernel, (0, 1, 3, 2))
    result = tf.nn.conv2d_transpose(x, turned, shape, list(strides), padding.upper())
    return tf.ensure_shape(result, (None, *sizes, kernel.shape[3]))


def depthwise_transposed(x, kernel, strides, padding) -> tf.Tensor:
    """Apply the transpose of a depthwise convolution; the kernel is (kh, kw, channels, 1)."""
    diagonal = kernel * tf.eye(kernel.shape[2], dtype=kernel.dtype)
    return transposed(x, diagonal, strides, padding)


def _upsampled(x, kernel, strides, padding) -> list[int]:
    overhang = padding == "valid"
    return [
        n * s + overhang * max(k - s, 0)
        for n, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    ]


def max_pool(x: Integers, size, strides, padding) -> Integers:
    """Return the maximum of each window; padding never is the maximum."""
    return x._replace(values=tf.nn.max_pool2d(x.values, size, strides, padding.upper()))


def global_sum(x: Integers, *, keepdims: bool) -> Integers:
    """Sum over height and width."""
    largest = x.largest * x.values.shape[1] * x.values.shape[2]
    values = tf.cast(x.values, product_dtype(largest))
    return Integers(tf.reduce_sum(values, (1, 2), keepdims=keepdims), largest)
