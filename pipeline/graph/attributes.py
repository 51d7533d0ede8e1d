"""Allowed values of each attribute, for model files, architectures and programs alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

LARGEST_WINDOW = 1024
"""Largest kernel, stride, dilation, pool or upsampling factor; far above every chip's limit."""
LARGEST_NUMBER = 1e30
DTYPES = (
    *("uint8", "uint16", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64"),
)
REQUIRED = object()
"""The default of an attribute that has none."""


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes
    ----------
    allows : function of value to bool
    allowed : str
        Description of the allowed values, for messages.
    """

    allows: Callable[[Any], bool]
    allowed: str


@dataclass(frozen=True)
class Attribute:
    """One attribute of an operation.

    Attributes
    ----------
    kind : Kind
    default
        Keras' default; `REQUIRED` where there is none. The value may be None only if this is None.
    """

    kind: Kind
    default: Any = REQUIRED

    def refusal(self, key: str, value: Any) -> str | None:
        """Return why the attribute `key` cannot be `value`; None if it can."""
        optional = self.default is None
        if (optional and value is None) or self.kind.allows(value):
            return None
        return f"{key} is {_shown(value)}; allowed: {self.kind.allowed}{', or none' * optional}"


def whole(value: Any, low: int, high: int | None = None) -> bool:
    """Return True if `value` is an integer in a range, and not a bool."""
    good = isinstance(value, Integral) and not isinstance(value, bool) and value >= low
    return good and (high is None or value <= high)


def finite(value: Any) -> bool:
    """Return True if `value` is a number that float32 can hold."""
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _tuple(value, good, length=None):
    return isinstance(value, tuple) and length in (None, len(value)) and all(map(good, value))


def _pair(value):
    return _tuple(value, lambda n: whole(n, 1, LARGEST_WINDOW), 2)


def _numbers(value):
    return finite(value) or (_tuple(value, finite) and len(value) > 0)


def _sides(value):
    def side(pair):
        return _tuple(pair, lambda n: whole(n, 0, LARGEST_WINDOW), 2)

    return _tuple(value, side, 2)


def _target(value):
    sizes = _tuple(value, lambda n: whole(n, 1) or (whole(n, -1, -1)))
    return sizes and sum(n == -1 for n in value) <= 1


def _dims(value):
    return _tuple(value, lambda n: whole(n, 1)) and sorted(value) == list(range(1, len(value) + 1))


COUNT = Kind(lambda value: whole(value, 1, 2**31), "a whole number above 0")
OFFSET = Kind(lambda value: whole(value, 0, 2**31), "a whole number of at least 0")
PAIR = Kind(_pair, f"two whole numbers from 1 to {LARGEST_WINDOW}")
FLAG = Kind(lambda value: isinstance(value, bool), "true, false")
NUMBER = Kind(finite, "a finite number")
NUMBERS = Kind(_numbers, "finite numbers")
TEXT = Kind(lambda value: isinstance(value, str), "a text")
AXIS = Kind(lambda value: whole(value, -4, 4), "a whole number from -4 to 4")
AXES = Kind(lambda value: _tuple(value, lambda n: whole(n, 1, 4)), "axes from 1 to 4")
BITS = Kind(lambda value: whole(value, 1, 16), "a whole number from 1 to 16")
PADDING = Kind(lambda value: value in ("same", "valid"), "same, valid")
SIDES = Kind(_sides, f"two pairs from 0 to {LARGEST_WINDOW}")
MAXIMUM = Kind(lambda value: finite(value) and value >= 0, "a number of at least 0")
SHAPE = Kind(lambda v: _tuple(v, lambda n: whole(n, 1)) and v != (), "whole numbers above 0")
TARGET_SHAPE = Kind(_target, "whole numbers above 0, of which one may be -1")
DIMS = Kind(_dims, "the numbers 1, 2... each once")
DTYPE = Kind(lambda value: value in DTYPES, ", ".join(DTYPES))
INTERNAL = Kind(lambda value: True, "the value that preparation computes")
"""Set by preparation, never by a file or an architecture."""


def _shown(value) -> str:
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
