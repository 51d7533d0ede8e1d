"""Read single values of a Keras configuration: numbers, flags, dtypes, arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.errors import ModelError

HALF_PRECISION = "mixed_float16"
FLOAT_POLICIES = ("float32", "float64", HALF_PRECISION)
"""Policies under which a layer computes as in float32, up to rounding."""


def scalar(value: Any) -> float | None:
    """Return a number that Keras may have stored as an array or one-item list."""
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("value", value.get("value"))
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"found {value!r} where one number is needed")
    return float(value)


def numbers(value: Any) -> float | tuple[float, ...]:
    """Return an array that Keras broadcasts as one number, or as one per channel.

    Parameters
    ----------
    value : number, nested list, or the object that Keras stores for an array

    Raises
    ------
    ModelError
        If the array varies along an axis other than the last, or is not numeric.
    """
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("value", value.get("value"))
    if value is None or isinstance(value, bool):
        raise ModelError(f"found {value!r} where numbers are needed")
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"found {value!r} where numbers are needed") from error
    if array.size == 0 or (array.ndim and array.size != array.shape[-1]):
        raise ModelError(
            f"found an array of shape {array.shape}; allowed: one number, or one for each channel"
        )
    flat = array.reshape(-1)
    return float(flat[0]) if flat.size == 1 else tuple(map(float, flat))


def flag(value: Any) -> Any:
    """Return 0 or 1 as a bool, and any other value unchanged."""
    return bool(value) if type(value) is int and value in (0, 1) else value


def dtype_name(value: Any) -> str:
    """Return the name of a dtype or of the policy object that Keras stores for it."""
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("name")
    return str(value or "float32")


def input_dtype(value: Any) -> str:
    """Return the dtype of an input.

    Raises
    ------
    ModelError
        If the dtype rounds the images; the message lacks the layer's name.
    """
    name = dtype_name(value)
    if name in ("float16", "bfloat16", "mixed_bfloat16"):
        raise ModelError(
            f"its dtype is '{name}', so that images are rounded before the first layer; allowed:"
            " float32 and whole numbers"
        )
    return "float32" if name == HALF_PRECISION else name


def check_dtype(value: Any) -> None:
    """Raise if a layer does not compute in float.

    Raises
    ------
    ModelError
        The message lacks the layer's name.
    """
    kind = value.get("class_name") if isinstance(value, Mapping) else "Policy"
    name = dtype_name(value)
    if name not in FLOAT_POLICIES or str(kind).startswith("Quantized"):
        raise ModelError(
            f"its dtype is '{name}', in which it rounds or wraps around; allowed:"
            f" {', '.join(FLOAT_POLICIES)}: build the model again with one of them"
        )
