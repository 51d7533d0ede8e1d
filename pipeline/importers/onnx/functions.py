"""Functions of one number, as ONNX operators compute them, and the operation that is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.graph.activations import ACTIVATIONS, erf, sigmoid

POINTS = np.concatenate([np.linspace(-12, 12, 4801), [-1e4, -1e3, -100, -20, 20, 100, 1e3, 1e4]])
"""Where two functions are compared."""
LARGE = 1e6
RELATIVE, ABSOLUTE = 1e-7, 2e-7
"""Functions that differ by less are one: exporters round 1/6 and the root of 2 to float32."""
NAMED = ("swish", "hard_silu", "gelu", "sigmoid", "tanh")

Found = tuple[str, dict[str, Any]]


def recognised(function: Callable[[np.ndarray], np.ndarray]) -> Found | None:
    """Return operation and attributes that compute the same as `function`; None for others.

    ``Dropout`` is what passes its input on.

    Parameters
    ----------
    function : function of float64 array to array
    """
    with np.errstate(all="ignore"):
        wanted = np.asarray(function(POINTS), np.float64)
        if wanted.shape != POINTS.shape or not np.isfinite(wanted).all():
            return None
        return next(
            (found for found, values in _candidates(function) if _equal(wanted, values)), None
        )


def _equal(a, b):
    return bool((np.abs(a - b) <= ABSOLUTE + RELATIVE * np.maximum(np.abs(a), np.abs(b))).all())


def _candidates(function):
    slope, top = (float(y) for y in function(np.array([-1.0, LARGE])) * [-1, 1])
    yield ("Dropout", {}), POINTS
    yield _rectifier(slope, None)
    if 0 <= top < LARGE:
        yield _rectifier(slope, top)
    for name in NAMED:
        yield ("Activation", {"activation": name}), ACTIVATIONS[name](POINTS, 0.0)


def _rectifier(slope, top):
    values = np.where(POINTS >= 0, POINTS, slope * POINTS)
    if slope and top is None:
        return ("LeakyReLU", {"negative_slope": slope}), values
    values = values if top is None else np.minimum(values, top)
    return ("ReLU", {"max_value": top, "negative_slope": slope or 0.0}), values


def _gelu(attrs, x):
    if attrs.get("approximate", "none") == "none":
        return x * (1 + erf(x * np.sqrt(0.5))) / 2
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def _clip(attrs, x, low=None, high=None):
    low, high = attrs.get("min", low), attrs.get("max", high)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _hard_sigmoid(attrs, x):
    return np.clip(attrs.get("alpha", 0.2) * x + attrs.get("beta", 0.5), 0, 1)


FUNCTIONS: Mapping[str, Callable] = {
    "Relu": lambda attrs, x: np.maximum(x, 0),
    "LeakyRelu": lambda attrs, x: np.where(x >= 0, x, attrs.get("alpha", 0.01) * x),
    "Clip": _clip,
    "Sigmoid": lambda attrs, x: sigmoid(x),
    "Tanh": lambda attrs, x: np.tanh(x),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda attrs, x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Gelu": _gelu,
    "Erf": lambda attrs, x: erf(x),
    "Softplus": lambda attrs, x: np.logaddexp(x, 0),
    "Exp": lambda attrs, x: np.exp(x),
    "Neg": lambda attrs, x: -x,
    "Abs": lambda attrs, x: np.abs(x),
    "Add": lambda attrs, x, y: x + y,
    "Sub": lambda attrs, x, y: x - y,
    "Mul": lambda attrs, x, y: x * y,
    "Div": lambda attrs, x, y: x / y,
    "Pow": lambda attrs, x, y: x**y,
    "Max": lambda attrs, *xs: np.maximum.reduce(np.broadcast_arrays(*xs)),
    "Min": lambda attrs, *xs: np.minimum.reduce(np.broadcast_arrays(*xs)),
}
"""Operator to function of attributes and float64 arrays."""
ATTRIBUTES = {
    "LeakyRelu": ("alpha",),
    "Clip": ("min", "max"),
    "HardSigmoid": ("alpha", "beta"),
    "Gelu": ("approximate",),
}
"""The attributes that an operator may have."""
SINGLE = tuple(
    name for name in FUNCTIONS if name not in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min")
)
"""Operators that are read by themselves where nothing else is recognised."""
