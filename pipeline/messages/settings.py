"""Name a setting in a message, in the language of the place that prints it.

The pipeline's own names are the dotted ones of the configuration. A command has options instead:
it installs its own names for as long as it runs, so that one message serves both places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Namer = Callable[[str, Any], str]
NO_VALUE = object()
"""Stands for: the setting itself, whatever its value."""


def configuration_name(name: str, value: Any = NO_VALUE) -> str:
    """Return a setting as in params.yaml: ``name``, or ``name=value``."""
    return name if value is NO_VALUE else f"{name}={yaml_value(value)}"


def yaml_value(value: Any) -> str:
    """Return a plain value as YAML writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


_namer: ContextVar[Namer] = ContextVar("namer", default=configuration_name)


def setting(name: str, value: Any = NO_VALUE) -> str:
    """Return how the reader of a message names a setting.

    Parameters
    ----------
    name : str
        Dotted name, such as ``quantization.calibration.batch_size``.
    value : optional
        A value that the message advises.
    """
    return _namer.get()(name, value)


@contextmanager
def named_by(namer: Namer) -> Iterator[None]:
    """Let `namer` name all settings meanwhile.

    Parameters
    ----------
    namer : function of (name, value)
        ``value`` is `NO_VALUE` where the message advises none.
    """
    token = _namer.set(namer)
    try:
        yield
    finally:
        _namer.reset(token)
