"""Notes on what was left out of a model file because inference does not need it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.graph.keras_values import HALF_PRECISION, dtype_name
from pipeline.importers.keras_model import KerasLayer
from pipeline.importers.option_check import IDENTITIES
from pipeline.messages.notes import READ, Note

MOST_NAMES = 3


def computed_in_half(layers: Iterable[KerasLayer]) -> list[str]:
    """Return the names of layers that Keras computes in float16 from float32 weights."""
    return [n.name for n in layers if dtype_name(n.config.get("dtype")) == HALF_PRECISION]


def reading_notes(layers: Iterable[KerasLayer]) -> tuple[Note, ...]:
    """Return a note for each kind of content that a graph does not keep."""
    layers, notes = list(layers), []
    for layer in layers:
        if layer.class_name in IDENTITIES:
            text = f"{layer.name}: {layer.class_name} does nothing in inference; it is left out"
            notes.append(Note(kind=READ, layers=(layer.name,), text=text))
    if half := computed_in_half(layers):
        shown = ", ".join(half[:MOST_NAMES])
        more = f" and {len(half) - MOST_NAMES} more" if len(half) > MOST_NAMES else ""
        text = (
            f"{shown}{more}: Keras computes them in float16 ({HALF_PRECISION}) from float32"
            " weights; here they are computed in float32, so that outputs differ by float16's"
            " rounding (about 0.1 %)"
        )
        notes.append(Note(kind=READ, layers=tuple(half), text=text))
    return tuple(notes)
