"""What crossgrade adds to the model files of other tools: an attribute that these ignore."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipeline.errors import ModelError
from pipeline.messages.notes import KINDS, NOTE, WARNING, Note

ATTRIBUTE = "crossgrade"
"""Name of the attribute at the root of the HDF5 file."""
LONGEST, MOST = 1000, 1000
"""Characters of a text, and texts, that are read."""


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """Facts of a quantized model that the format itself cannot hold.

    Attributes
    ----------
    notes : tuple of Note
        On how the model was made.
    clip_at_zero : bool
        As in `pipeline.quantization.calibrated_graph.InputQuantizer`.
    """

    notes: tuple[Note, ...] = ()
    clip_at_zero: bool = False

    def text(self) -> str:
        """Return the value of the attribute."""
        notes = [note.as_dict() for note in self.notes]
        return json.dumps({"clip_at_zero": self.clip_at_zero, "notes": notes})


def read_remarks(text: str | None, label: str) -> Remarks:
    """Return the remarks in a file; none if it has no such attribute.

    Raises
    ------
    ModelError
        If the attribute is damaged.
    """
    if text is None:
        return Remarks()
    try:
        entries = json.loads(text)
        notes = tuple(map(Note.from_json, entries["notes"]))
        if not all(map(_sound, notes)) or not isinstance(entries["clip_at_zero"], bool):
            raise ValueError("a value of another type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{label}: its attribute '{ATTRIBUTE}' is damaged ({error}); export the model again"
        ) from error
    return Remarks(notes=notes, clip_at_zero=entries["clip_at_zero"])


def _sound(note: Note) -> bool:
    """Return True if a note from a file can be printed."""
    lines = (note.text, *note.details, *note.layers)
    return (
        note.kind in KINDS
        and note.level in (NOTE, WARNING)
        and len(lines) <= MOST
        and all(isinstance(t, str) and t.isprintable() and len(t) <= LONGEST for t in lines)
    )
