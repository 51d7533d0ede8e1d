"""Read the attribute values of an architecture file, and check their types and ranges."""

from __future__ import annotations

import math
import re
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.attributes import (
    AXIS,
    COUNT,
    DTYPE,
    FLAG,
    INTERNAL,
    MAXIMUM,
    NUMBER,
    NUMBERS,
    PADDING,
    PAIR,
    TEXT,
)
from pipeline.graph.operations import OPERATIONS

COUNTS = frozenset(
    key
    for operation in OPERATIONS.values()
    for key, attribute in operation.attributes.items()
    if attribute.kind is COUNT
)
"""Attributes that are sizes, which an architecture may compute from its parameters."""
_FRACTION = re.compile(r"(-?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)")


def read_value(op: str, key: str, value: Any) -> Any:
    """Return the value of one attribute, ready for `pipeline.graph.build.make_node`.

    Parameters
    ----------
    op, key : str
        Attribute `key` of operation `op`; unknown ones are returned as they are.
    value
        As parsed from YAML. Numbers may be fractions such as ``1/255``.

    Raises
    ------
    ModelError
        If the value is of the wrong type or out of range.
    """
    attributes = OPERATIONS[op].attributes
    if key == "activation" and key not in attributes:
        raise ModelError(f"{op} has no attribute 'activation' here; add the activation as a layer")
    if key not in attributes:
        return value
    kind, default = attributes[key].kind, attributes[key].default
    if kind is INTERNAL:
        raise ModelError(f"{op} has no attribute '{key}' here; crossgrade sets it automatically")
    if value is None and default is None:
        return None
    return _READERS[kind](key, value) if kind in _READERS else value


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


def _number(key, value):
    match = _FRACTION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match and float(match[2]):
        return float(match[1]) / float(match[2])
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"{key} is {value!r}; allowed: a number, or a fraction such as 1/255")
    return float(value)


def _numbers(key, value):
    if isinstance(value, list | tuple):
        return tuple(_number(key, item) for item in value)
    return _number(key, value)


def _maximum(key, value):
    number = _number(key, value)
    if number <= 0:
        raise ModelError(f"{key} is {value}; allowed: a number above 0, null")
    return number


def _flag(key, value):
    return _typed(key, value, bool, "true, false")


def _whole(key, value):
    return _typed(key, value, int, "a whole number")


def _text(key, value):
    return _typed(key, value, str, "a text")


_READERS = {
    COUNT: _count,
    PAIR: _pair,
    FLAG: _flag,
    NUMBER: _number,
    NUMBERS: _numbers,
    MAXIMUM: _maximum,
    AXIS: _whole,
    **dict.fromkeys((TEXT, PADDING, DTYPE), _text),
}
"""Readers of the kinds of values that architectures may write in other forms."""
