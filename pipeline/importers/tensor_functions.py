"""Read functions of tensors between the layers: ``1 - x``, ``x * 2``, ``tf.nn.relu(x)``.

Keras 2 stores them as ``TFOpLambda``, Keras 3 as operations of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.keras_values import numbers, scalar
from pipeline.graph.operations.activation import relu_attrs
from pipeline.importers.activation_table import activation
from pipeline.importers.keras_calls import Tensor
from pipeline.importers.keras_model import KerasLayer

NAMES = {
    **dict.fromkeys(("__operators__.add", "math.add", "add", "ops.Add"), "add"),
    **dict.fromkeys(("math.subtract", "subtract", "ops.Subtract"), "subtract"),
    **dict.fromkeys(("math.multiply", "multiply", "ops.Multiply"), "multiply"),
    **dict.fromkeys(("math.truediv", "math.divide", "divide"), "divide"),
    **dict.fromkeys(("ops.TrueDivide", "ops.Divide"), "divide"),
    **dict.fromkeys(("math.negative", "negative", "ops.Negative"), "negative"),
    **dict.fromkeys(("math.maximum", "maximum", "ops.Maximum"), "maximum"),
    **dict.fromkeys(("clip_by_value", "ops.Clip"), "clip"),
    **dict.fromkeys(("nn.relu", "ops.Relu", "ops.ReLU"), "relu"),
    **dict.fromkeys(("nn.relu6", "ops.Relu6"), "relu6"),
    **dict.fromkeys(("nn.leaky_relu", "ops.LeakyRelu"), "leaky_relu"),
    **dict.fromkeys(("math.sigmoid", "nn.sigmoid", "sigmoid", "ops.Sigmoid"), "sigmoid"),
    **dict.fromkeys(("math.tanh", "nn.tanh", "tanh", "ops.Tanh"), "tanh"),
    **dict.fromkeys(("nn.silu", "nn.swish", "ops.Silu"), "silu"),
    **dict.fromkeys(("ops.HardSilu", "ops.HardSwish"), "hard_silu"),
    **dict.fromkeys(("nn.gelu", "ops.Gelu"), "gelu"),
    **dict.fromkeys(("nn.softmax", "ops.Softmax"), "softmax"),
    **dict.fromkeys(("identity", "stop_gradient", "ops.StopGradient"), "identity"),
    **dict.fromkeys(("cast", "ops.Cast"), "cast"),
    **dict.fromkeys(("concat", "ops.Concatenate"), "concatenate"),
    **dict.fromkeys(("reshape", "ops.Reshape"), "reshape"),
    **dict.fromkeys(("math.reduce_mean", "reduce_mean", "ops.Mean"), "mean"),
}
"""Names in this module by names in files."""
LINEAR = ("add", "subtract", "multiply", "divide", "negative")
OPERANDS = {
    **dict.fromkeys(LINEAR, ("x", "y")),
    "maximum": ("x", "y"),
    "clip": ("x", "clip_value_min", "clip_value_max"),
    "relu": ("x", "negative_slope", "max_value", "threshold"),
    "leaky_relu": ("x", "alpha"),
    "gelu": ("x", "approximate"),
    "softmax": ("x", "axis"),
    "cast": ("x", "dtype"),
    "concatenate": ("x", "axis"),
    "reshape": ("x", "shape"),
    "mean": ("x", "axis", "keepdims"),
}
"""Names of the parameters in order; the first is the tensor."""
SYNONYMS = {
    **dict.fromkeys(("x1", "features", "logits", "input", "tensor", "input_tensor"), "x"),
    **dict.fromkeys(("values", "a", "t", "xs", "value"), "x"),
    **{"x2": "y", "x_min": "clip_value_min", "x_max": "clip_value_max", "newshape": "shape"},
}
FLOATS = ("float32", "float64")
NEVER_RUN = "code from a model file is never run; replace it with a Keras layer"


@dataclass(frozen=True)
class Affine:
    """``x * scale + offset`` of one tensor; one number, or one per channel."""

    tensor: Tensor
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0


@dataclass(frozen=True)
class Step:
    """One operation on tensors; the first tensor itself if the operation is None."""

    op: str | None
    tensors: tuple[Tensor | Affine, ...]
    attrs: Mapping[str, Any] = None


def is_function(kind: str) -> bool:
    """Return True if a class in a file is a function of tensors."""
    return kind in ("TFOpLambda", "SlicingOpLambda") or kind.startswith("ops.")


def read_function(layer: KerasLayer, shape: Callable[[], tuple[int, ...]]) -> Affine | Step:
    """Return the arithmetic of a function of tensors.

    Parameters
    ----------
    layer : KerasLayer
    shape : function to tuple of int
        Returns the shape of its first tensor, without the batch.

    Raises
    ------
    ModelError
        If the function or its arguments are not supported; the message lacks the layer's name.
    """
    stored = layer.class_name
    if "OpLambda" in stored:
        stored = str(layer.config.get("function"))
    name = NAMES.get(stored)
    if name is None:
        raise ModelError(f"the function '{stored.removeprefix('ops.')}' is not known; {NEVER_RUN}")
    given = _arguments(name, stored, layer)
    if name in LINEAR:
        return _linear(name, given)
    return _FUNCTIONS[name](given, shape)


def _arguments(name, stored, layer):
    """Return the arguments of a call by name: positional, keyword and from the configuration."""
    known = OPERANDS.get(name, ("x",))
    given = dict(zip(known, layer.call.args, strict=False))
    if len(layer.call.args) > len(known):
        raise ModelError(f"'{stored}' was called with {len(layer.call.args)} arguments")
    options = {**layer.config, **layer.call.kwargs}
    for key in ("name", "trainable", "function", *(() if name == "cast" else ("dtype",))):
        options.pop(key, None)
    for key, value in options.items():
        key = SYNONYMS.get(key, "alpha" if (name, key) == ("leaky_relu", "negative_slope") else key)
        if key not in known:
            if value is None or value is False:
                continue
            raise ModelError(f"'{stored}' was called with {key}={value!r}, which is not known")
        given[key] = value
    if not any(isinstance(value, Tensor | list) for value in given.values()):
        raise ModelError(f"'{stored}' has no tensor to work on")
    return given


def _linear(name, given):
    left, right = given["x"], given.get("y")
    if name == "negative":
        return Affine(_tensor(left), -1.0)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if name == "add":
            return Step("Add", (left, right))
        if name == "subtract":
            return Step("Add", (left, Affine(right, -1.0)))
        if name == "multiply":
            return Step("Multiply", (left, right))
        raise ModelError("it divides by a tensor; only by a number can be read")
    if isinstance(left, Tensor):
        value = numbers(right)
        if name == "divide":
            if not _all(value):
                raise ModelError("it divides by 0")
            return Affine(left, _map(lambda number: 1 / number, value))
        return {
            "add": lambda: Affine(left, 1.0, value),
            "subtract": lambda: Affine(left, 1.0, _map(lambda number: -number, value)),
            "multiply": lambda: Affine(left, value),
        }[name]()
    tensor, value = _tensor(right), numbers(left)
    if name == "divide":
        raise ModelError("it divides by a tensor; only by a number can be read")
    if name == "multiply":
        return Affine(tensor, value)
    return Affine(tensor, 1.0 if name == "add" else -1.0, value)


def _map(function, value):
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)


def _all(value):
    return all(value) if isinstance(value, tuple) else bool(value)


def _tensor(value) -> Tensor:
    if not isinstance(value, Tensor):
        raise ModelError(f"found {value!r} where a tensor is needed")
    return value


def _relu(given, shape):
    limits = (given.get(key) for key in ("max_value", "negative_slope", "threshold"))
    return Step("ReLU", (_tensor(given["x"]),), relu_attrs(*limits))


def _maximum(given, shape):
    left, right = given["x"], given["y"]
    tensor, value = (left, right) if isinstance(left, Tensor) else (right, left)
    if isinstance(value, Tensor) or scalar(value) != 0:
        raise ModelError("a maximum is read where it is one of a tensor and 0")
    return Step("ReLU", (_tensor(tensor),))


def _clip(given, shape):
    low, high = scalar(given["clip_value_min"]), scalar(given["clip_value_max"])
    if low != 0 or high is None or high < 0:
        raise ModelError(f"it clips to {low}..{high}; allowed: from 0 to a number above")
    return Step("ReLU", (_tensor(given["x"]),), {"max_value": high})


def _leaky(given, shape):
    alpha = scalar(given.get("alpha", 0.2))
    return Step("LeakyReLU", (_tensor(given["x"]),), {"negative_slope": alpha})


def _gelu(given, shape):
    if given.get("approximate"):
        raise ModelError("it is the approximate gelu; allowed: approximate=False")
    return _named("gelu")(given, shape)


def _named(name):
    def read(given, shape):
        op, attrs = activation(name)
        return Step(op, (_tensor(given["x"]),), attrs)

    return read


def _softmax(given, shape):
    axis = given.get("axis")
    return Step("Softmax", (_tensor(given["x"]),), {"axis": -1 if axis is None else axis})


def _cast(given, shape):
    if given["dtype"] not in FLOATS:
        raise ModelError(f"it casts to '{given['dtype']}'; allowed: {', '.join(FLOATS)}")
    # Every tensor of a graph is float32.
    return Step("cast", (_tensor(given["x"]),))


def _identity(given, shape):
    return Step(None, (_tensor(given["x"]),))


def _concatenate(given, shape):
    return Step("Concatenate", tuple(map(_tensor, given["x"])), {"axis": given["axis"]})


def _reshape(given, shape):
    batch, *target = given["shape"]
    if batch != -1 or -1 in target or math.prod(target) != math.prod(shape()):
        raise ModelError(f"it reshapes to {given['shape']}; allowed: -1, then all other sizes")
    return Step("Reshape", (_tensor(given["x"]),), {"target_shape": tuple(target)})


def _mean(given, shape):
    if given.get("axis") not in ([1, 2], [-3, -2]) or len(shape()) != 3:
        raise ModelError(f"its mean is over the axes {given.get('axis')}; allowed: [1, 2]")
    attrs = {"keepdims": bool(given.get("keepdims"))}
    return Step("GlobalAveragePooling2D", (_tensor(given["x"]),), attrs)


_FUNCTIONS = {
    "maximum": _maximum,
    "clip": _clip,
    "relu": _relu,
    "leaky_relu": _leaky,
    "gelu": _gelu,
    "softmax": _softmax,
    "cast": _cast,
    "identity": _identity,
    "concatenate": _concatenate,
    "reshape": _reshape,
    "mean": _mean,
    **{name: _named(name) for name in ("relu6", "sigmoid", "tanh", "silu", "hard_silu")},
}
