"""Notes of a step in addition to its result, and warnings that need action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

READ = "read"
LEFT_TO_HOST = "left_to_host"
PREPARED = "prepared"
DEAD_CHANNELS = "dead_channels"
CALIBRATION = "calibration"
REGISTERS = "registers"
LIMITS = "limits"
INPUT = "input"
SATURATION = "saturation"
REFINED = "refined"
TRAINED = "trained"
EXPORTED = "exported"
KINDS = {
    READ: "content of a model file that inference does not need, or computes in another way",
    LEFT_TO_HOST: "a final activation that the host computes",
    PREPARED: "layers that were folded, removed or reordered, with the same outputs",
    DEAD_CHANNELS: "channels that are 0 for every calibration sample",
    CALIBRATION: "how ranges of activations were measured",
    REGISTERS: "what conversion changed, and what that costs",
    LIMITS: "where the vendor's pages differ about a limit",
    INPUT: "the images, and the scale that the model expects of them",
    SATURATION: "numbers that saturate",
    REFINED: "whether refining helped, on images held out for it",
    TRAINED: "whether training the registers helped, on images held out for it",
    EXPORTED: "layers and inputs that a file of another tool holds in an equivalent form",
}
NOTE, WARNING = "note", "warning"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A remark for the user, or a warning that needs action.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    text : str
        One line.
    layers : tuple of str
        Layers that it concerns.
    level : {"note", "warning"}
        A warning needs action.
    details : tuple of str
        One line per layer, if `text` summarises several.
    """

    kind: str
    text: str
    layers: tuple[str, ...] = ()
    level: str = NOTE
    details: tuple[str, ...] = ()

    @property
    def is_warning(self) -> bool:
        """True if a user should act on it."""
        return self.level == WARNING

    def as_dict(self) -> dict[str, Any]:
        """Return the note as JSON values."""
        values = {"kind": self.kind, "level": self.level, "text": self.text}
        return values | {"layers": list(self.layers), "details": list(self.details)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any] | str) -> Note:
        """Return the note from the result of `as_dict`, or from a plain text, as in older files."""
        if isinstance(entry, str):
            return cls(kind=PREPARED, text=entry)
        layers, details = tuple(entry["layers"]), tuple(entry["details"])
        texts = {key: entry[key] for key in ("kind", "level", "text")}
        return cls(**texts, layers=layers, details=details)


MEASURED = (INPUT, SATURATION, REFINED, TRAINED)
"""Kinds of notes that concern the samples rather than the model."""


def texts(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return the text of each note."""
    return tuple(note.text for note in notes)


def program_lines(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return the lines that a program file stores: those on the model, with details per layer."""
    kept = (note for note in notes if note.kind not in MEASURED)
    return tuple(line for note in kept for line in note.details or (note.text,))
