"""Checks of types, shapes and ranges of registers, shared by all layers."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from functools import cache

import numpy as np


def check_types(record) -> Iterator[str]:
    """Yield a sentence for every field of a dataclass whose value is not of its declared type."""
    hints = _hints(type(record))
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if not _is_a(value, hints[field.name]):
            shown = "an array" if isinstance(value, np.ndarray) else repr(value)
            wanted = str(field.type).replace("np.ndarray", "array")
            wanted = wanted.replace("Shape", "tuple[int, int, int]")
            yield f"{field.name} is {shown}; needs {wanted}"


@cache
def _hints(kind: type) -> dict[str, object]:
    return typing.get_type_hints(kind)


def _is_a(value, hint) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_is_a(value, argument) for argument in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is Ellipsis:
            return all(_is_a(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_is_a, value, arguments))
    if hint is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    return isinstance(value, hint)


def check_register(
    name: str, array: np.ndarray | None, shape: tuple[int, ...], low: int, high: int
) -> Iterator[str]:
    """Yield a sentence if `array` is not an integer array of `shape` within low..high.

    None, an absent register, passes.
    """
    if array is None:
        return
    if not np.issubdtype(array.dtype, np.integer):
        yield f"{name} holds {array.dtype} values; it must hold integers"
    elif array.shape != shape:
        yield f"{name} has shape {array.shape}; this layer needs {shape}"
    elif array.size and not (low <= array.min() and array.max() <= high):
        yield f"{name} reaches {array.min()}..{array.max()}; the register holds {low}..{high}"


def check_window(name: str, size, window, stride, padding: str) -> Iterator[str]:
    """Yield a sentence if a convolution or pooling window does not fit a map of `size`.

    Parameters
    ----------
    name : str
        Of the window, for messages.
    size, window, stride : (height, width)
    padding : {"same", "valid"}
    """
    if padding not in ("same", "valid"):
        yield f"{name} padding is '{padding}'; allowed: same, valid"
    elif len(window) != 2 or len(stride) != 2 or min(*window, *stride) < 1:
        yield f"{name} {window} with stride {stride}; both must be pairs of integers of at least 1"
    elif padding == "valid" and (window[0] > size[0] or window[1] > size[1]):
        yield f"{name} {window} is larger than its input of {size[0]}x{size[1]} (padding 'valid')"


def check_weights(weights: np.ndarray, bits: int, shape: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence if weights do not have `shape` or do not fit `bits` bits, sign included."""
    if not 1 <= bits <= 8:
        yield f"weight_bits is {bits}; a weight register holds 1 to 8 bits"
        return
    # A 1-bit weight is unsigned: 0 or 1.
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if bits > 1 else (0, 1)
    yield from check_register("weights", weights, shape, low, high)
