"""Overrides of ``quantization.layers`` in a form that Hydra's grammar takes.

Hydra takes letters, digits, ``_``, ``-`` and ``$`` between the dots of a name. Each other character
of a layer's name or pattern is written as ``$``, at least four hexadecimal digits and ``_``:
``$002A_`` for ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields

from pipeline.config.layer_widths import LayerWidths

PREFIX = "quantization.layers."
KEYS = "|".join(field.name for field in fields(LayerWidths))
OVERRIDE = re.compile(
    rf"(?P<sign>[+~]*){re.escape(PREFIX)}(?P<layer>[^=]+?)(?P<key>\.(?:{KEYS}))?(?P<value>=.*)?",
    re.DOTALL,
)


def encode(override: str) -> str:
    """Return an override as Hydra reads it; those of other settings unchanged.

    A width that is set is added where the configuration has none.
    """
    match = OVERRIDE.fullmatch(override)
    if match is None:
        return override
    sign = match["sign"] or "++"
    layer = re.sub(r"[^\w-]", _escape, match["layer"], flags=re.ASCII)
    return f"{sign}{PREFIX}{layer}{match['key'] or ''}{match['value'] or ''}"


def decode(name: str) -> str:
    """Return a layer's name, or text that contains it, with its own characters."""
    return re.sub(r"\$([0-9A-F]{4,6})_", lambda found: chr(int(found[1], 16)), name)


def decoded(values: Mapping) -> Mapping:
    """Return a composed configuration whose layers have their own names."""
    section = values.get("quantization")
    layers = section.get("layers") if isinstance(section, Mapping) else None
    if not isinstance(layers, Mapping):
        return values
    layers = {decode(str(name)): widths for name, widths in layers.items()}
    return {**values, "quantization": {**section, "layers": layers}}


def _escape(match: re.Match) -> str:
    return f"${ord(match[0]):04X}_"
