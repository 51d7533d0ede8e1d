"""Read the attribute values of an architecture file: right type, right range, or refused."""

from __future__ import annotations

import math
import re
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.build import PAIRS
from pipeline.graph.operations import OPERATIONS

COUNTS = ("filters", "units", "depth_multiplier", "groups", "fifo_size")
NUMBERS = ("scale", "offset", "max_value", "alpha")
INTERNAL = ("padding_value",)
"""Attributes that preparation adds, not architectures."""
_FRACTION = re.compile(r"(-?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)")


def read_value(op: str, key: str, value: Any) -> Any:
    """Return the value of one attribute, ready for `pipeline.graph.build.make_node`.

    Parameters
    ----------
    op, key : str
        Attribute `key` of operation `op`; unknown ones are returned as they are.
    value
        As YAML gives it. Numbers may be fractions such as ``1/255``.

    Raises
    ------
    ModelError
        When the value is of the wrong type or out of range.
    """
    attrs = OPERATIONS[op].attrs
    if key == "activation" and key not in attrs:
        raise ModelError(f"{op} has no attribute 'activation' here; add the activation as a layer")
    if key in INTERNAL:
        raise ModelError(f"{op} has no attribute '{key}' here; crossgrade sets it by itself")
    if key not in attrs:
        return value
    default = attrs[key]
    if value is None and default is None:
        return None
    if key in COUNTS:
        return _count(key, value)
    if key in PAIRS:
        return _pair(key, value)
    if isinstance(default, bool):
        return _typed(key, value, bool, "true, false")
    if isinstance(default, float) or key in NUMBERS:
        return _number(op, key, value)
    if isinstance(default, int):
        return _typed(key, value, int, "a whole number")
    if isinstance(default, str):
        return _typed(key, value, str, "a text")
    return value


def _typed(key, value, kind, allowed):
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelError(f"{key} is {value!r}; allowed: {allowed}")
    return value


def _count(key, value):
    if type(value) is not int or value < 1:
        raise ModelError(f"{key} is {value!r}; allowed: a whole number above 0")
    return value


def _pair(key, value):
    values = (value,) if type(value) is int else value
    good = isinstance(values, list | tuple) and len(values) in (1, 2)
    if not good or not all(type(n) is int and n > 0 for n in values):
        raise ModelError(f"{key} is {value!r}; allowed: one or two whole numbers above 0")
    return tuple(values) * 2 if len(values) == 1 else tuple(values)


def _number(op, key, value):
    if op == "Rescaling" and isinstance(value, list | tuple):
        return tuple(_number(op, key, item) for item in value)
    match = _FRACTION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match and float(match[2]):
        return float(match[1]) / float(match[2])
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"{key} is {value!r}; allowed: a number, or a fraction such as 1/255")
    if key == "max_value" and value <= 0:
        raise ModelError(f"{key} is {value}; allowed: a number above 0, null")
    return float(value)
