"""The shortest unambiguous names."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config.layer_overrides import PREFIX


def short_names(names: Sequence[str]) -> list[str]:
    """Return the last part of each dotted name where it is unambiguous.

    A width of single layers keeps the name of the layers.
    """
    last = [
        name.removeprefix(PREFIX) if name.startswith(PREFIX) else name.rpartition(".")[2]
        for name in names
    ]
    return [
        short if last.count(short) == 1 else name for short, name in zip(last, names, strict=True)
    ]
