"""Look-up tables of activations other than ReLU, computed in float32 as in QuantizeML."""

from __future__ import annotations

import math

import numpy as np

from pipeline.graph.activations import sigmoid
from pipeline.quantization.fixed_point import clip_bits

INDEX_BITS = 11
"""Bit width of a table index, sign included."""


def _gelu(x, alpha):
    # Each operation in float32, with the reciprocal of the root as in compiled graphs.
    root = np.float32(1) / np.float32(math.sqrt(2))
    erf = np.array([math.erf(value) for value in (x * root).tolist()]).astype(np.float32)
    return (np.float32(0.5) * x) * (np.float32(1) + erf)


def _swish(x, alpha):
    # TensorFlow's float32 sigmoid is not correctly rounded: if no value of the table saturates, the
    # scale may differ from the reference's by one unit in the last place.
    return x * sigmoid(x.astype(np.float64)).astype(np.float32)


def _hard_silu(x, alpha):
    return x * np.clip(x + np.float32(3), 0, 6) * np.float32(1 / 6)


FUNCTIONS = {
    "leaky_relu": lambda x, alpha: np.where(x > 0, x, x * np.float32(alpha)),
    "hard_silu": _hard_silu,
    "gelu": _gelu,
    "swish": _swish,
}
"""Functions of (float32 array, alpha) by name of the activation."""


def lookup_table(
    activation: str, alpha: float, frac_bits: int, lut_bits: int
) -> tuple[np.ndarray, np.float32]:
    """Return the table of an activation over every index.

    Parameters
    ----------
    activation : str
        Key of `FUNCTIONS`.
    alpha : float
        Negative slope of ``leaky_relu``.
    frac_bits : int
        Fractional bits of the index.
    lut_bits : int
        Bit width of a table value, sign included.

    Returns
    -------
    values : int16 array of shape (2**INDEX_BITS,)
        In the order of the index, from its most negative value.
    scale : float32
        Value of one unit.
    """
    half = 1 << (INDEX_BITS - 1)
    x = np.arange(-half, half, dtype=np.float32) * np.float32(2.0 ** -int(frac_bits))
    y = FUNCTIONS[activation](x, alpha).astype(np.float32)
    value_bits = lut_bits - 1
    # Compiled graphs of the reference multiply by the float32 reciprocal of the constant.
    scale = np.float32(np.abs(y).max() * (np.float32(1) / np.float32(2**value_bits - 1)))
    return clip_bits(np.rint(y / scale), value_bits).astype(np.int16), scale
