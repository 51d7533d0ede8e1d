"""Bit widths in model files."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import ModelError

MOST = 64
"""Wider than any register; a damaged width would make integers that fill the memory."""


def bit_width(config: Mapping, key: str = "bitwidth", default: int | None = None) -> int:
    """Return the width that a configuration holds under `key`.

    Raises
    ------
    ModelError
        If it is not a whole number from 1 to `MOST`.
    """
    found = config[key] if default is None else config.get(key, default)
    number = isinstance(found, int | float) and 1 <= found <= MOST
    if not number or found != int(found):
        raise ModelError(f"{key} is {found!r}; allowed: a whole number from 1 to {MOST}")
    return int(found)
