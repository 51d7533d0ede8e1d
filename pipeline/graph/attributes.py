"""What the value of each attribute may be, whoever gives it: a file, an architecture, a program."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

LARGEST_WINDOW = 1024
"""Rows of a kernel, stride, dilation, pool or enlargement; far beyond every chip."""
LARGEST_NUMBER = 1e30
DTYPES = (
    *("uint8", "uint16", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64"),
)

Rule = tuple[Callable[[Any], bool], str]


def whole(value: Any, low: int, high: int | None = None) -> bool:
    """Return whether `value` is a whole number in a range, and no truth value."""
    good = isinstance(value, Integral) and not isinstance(value, bool) and value >= low
    return good and (high is None or value <= high)


def finite(value: Any) -> bool:
    """Return whether `value` is a number that float32 can hold."""
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _pair(value):
    return _tuple(value, lambda n: whole(n, 1, LARGEST_WINDOW), 2)


def _tuple(value, good, length=None):
    return isinstance(value, tuple) and length in (None, len(value)) and all(map(good, value))


def _numbers(value):
    return finite(value) or (_tuple(value, finite) and len(value) > 0)


def _flag(value):
    return isinstance(value, bool)


def _sides(value):
    def side(pair):
        return _tuple(pair, lambda n: whole(n, 0, LARGEST_WINDOW), 2)

    return _tuple(value, side, 2)


def _target(value):
    sizes = _tuple(value, lambda n: whole(n, 1) or (whole(n, -1, -1)))
    return sizes and sum(n == -1 for n in value) <= 1


def _dims(value):
    return _tuple(value, lambda n: whole(n, 1)) and sorted(value) == list(range(1, len(value) + 1))


def _or_none(rule: Rule) -> Rule:
    good, allowed = rule
    return lambda value: value is None or good(value), f"{allowed}, or none"


COUNT: Rule = (lambda value: whole(value, 1, 2**31), "a whole number above 0")
PAIR: Rule = (_pair, f"two whole numbers from 1 to {LARGEST_WINDOW}")
FLAG: Rule = (_flag, "true, false")
NUMBER: Rule = (finite, "a finite number")
TEXT: Rule = (lambda value: isinstance(value, str), "a text")
AXIS: Rule = (lambda value: whole(value, -4, 4), "a whole number from -4 to 4")

RULES: dict[str, Rule] = {
    **dict.fromkeys(("filters", "units", "depth_multiplier", "groups", "fifo_size"), COUNT),
    **dict.fromkeys(("kernel_size", "strides", "pool_size", "dilation_rate", "size"), PAIR),
    **dict.fromkeys(("use_bias", "center", "keepdims", "average"), FLAG),
    **dict.fromkeys(("epsilon", "momentum", "rate", "negative_slope", "threshold"), NUMBER),
    **dict.fromkeys(("activation", "interpolation"), TEXT),
    "alpha": NUMBER,
    "offset": (_numbers, "finite numbers"),
    "axis": AXIS,
    "bits": (lambda value: whole(value, 1, 16), "a whole number from 1 to 16"),
    "padding": (lambda value: value in ("same", "valid"), "same, valid"),
    "max_value": _or_none((lambda value: finite(value) and value >= 0, "a number of at least 0")),
    "shape": (lambda v: _tuple(v, lambda n: whole(n, 1)) and v != (), "whole numbers above 0"),
    "dtype": (lambda value: value in DTYPES, ", ".join(DTYPES)),
    "target_shape": (_target, "whole numbers above 0, of which one may be -1"),
    "dims": (_dims, "the numbers 1, 2... each once"),
    "shared_axes": _or_none((lambda v: _tuple(v, lambda n: whole(n, 1, 4)), "axes from 1 to 4")),
}
SPECIAL: dict[tuple[str, str], Rule] = {
    ("Rescaling", "scale"): (_numbers, "finite numbers"),
    ("BatchNormalization", "scale"): FLAG,
    ("ZeroPadding2D", "padding"): (_sides, f"two pairs from 0 to {LARGEST_WINDOW}"),
    ("MaxPooling2D", "strides"): _or_none(PAIR),
    ("AveragePooling2D", "strides"): _or_none(PAIR),
}


def refusal(op: str, key: str, value: Any) -> str | None:
    """Return why the attribute `key` of operation `op` cannot be `value`; None where it can."""
    rule = SPECIAL.get((op, key)) or RULES.get(key)
    if rule is None or rule[0](value):
        return None
    return f"{key} is {_shown(value)}; allowed: {rule[1]}"


def _shown(value) -> str:
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
