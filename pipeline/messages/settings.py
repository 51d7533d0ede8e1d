"""Name settings in messages: by configuration keys or by command options.

The default names are the dotted keys of the configuration. A command has options instead: it
installs its names while it runs, so that the same message suits both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Namer = Callable[[str, Any], str]
NO_VALUE = object()
"""Marks a message about the setting itself rather than one of its values."""


def configuration_name(name: str, value: Any = NO_VALUE) -> str:
    """Return a setting as on the pipeline's command line: ``name``, or ``name=value``.

    A value of ``transforms.names`` is one of a list, which a user extends.
    """
    if name == "transforms.names" and value is not NO_VALUE:
        return f"transform {value}"
    return name if value is NO_VALUE else f"{name}={yaml_value(value)}"


def yaml_value(value: Any) -> str:
    """Return a plain value in YAML notation."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


_namer: ContextVar[Namer] = ContextVar("namer", default=configuration_name)


def setting(name: str, value: Any = NO_VALUE) -> str:
    """Return the name of a setting for the user who reads a message.

    Parameters
    ----------
    name : str
        Dotted name, such as ``quantization.calibration.batch_size``.
    value : optional
        A value that the message recommends.
    """
    return _namer.get()(name, value)


def is_named(namer: Namer | None = None) -> bool:
    """Return True within `named_by`: settings have other names than the configuration's.

    Given a namer, return whether the names are those of this one.
    """
    found = _namer.get()
    return found is not configuration_name if namer is None else found is namer


@contextmanager
def named_by(namer: Namer) -> Iterator[None]:
    """Name all settings by `namer` within the context.

    Parameters
    ----------
    namer : function of (name, value)
        ``value`` is `NO_VALUE` if the message recommends none.
    """
    token = _namer.set(namer)
    try:
        yield
    finally:
        _namer.reset(token)
