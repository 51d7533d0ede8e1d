"""What a composed configuration holds other than the defaults of ``conf/``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from pipeline.config.compose import compose
from pipeline.errors import CrossgradeError

MOST_VALUES = 3
"""A section with more other values is named as a whole."""


def chosen_in(path) -> list[str]:
    """Return the choices in a composed file other than the defaults, such as an experiment's."""
    return other_choices(yaml.safe_load(Path(path).read_text(encoding="utf-8")), compose())


def other_choices(values: Mapping, defaults: Mapping) -> list[str]:
    """Return what `values` changes, as overrides: ``quantization.weight_bits=4``.

    Parameters
    ----------
    values, defaults : mapping
        Composed configurations.
    """
    if values.get("transforms") == _needed(values):
        # They follow from the target, which is named.
        defaults = {**defaults, "transforms": values.get("transforms")}
    found = []
    for section, value in values.items():
        changed = list(_changed(value, defaults.get(section), section))
        if len(changed) > MOST_VALUES and isinstance(value, Mapping) and "name" in value:
            changed = [f"{section}={value['name']}"]
        found += changed[: MOST_VALUES + 1]
    return found


def _needed(values) -> Mapping | None:
    """Return the section ``transforms`` that the target brings along; None for one without."""
    target = values.get("target")
    name = target.get("name") if isinstance(target, Mapping) else None
    try:
        return compose([f"target={name}"]).get("transforms")
    except CrossgradeError:
        return None


def _changed(value, default, name: str) -> Iterator[str]:
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        for key, inner in value.items():
            yield from _changed(inner, default.get(key), f"{name}.{key}")
    elif value != default:
        yield f"{name}={'...' if isinstance(value, list | Mapping) else value}"
