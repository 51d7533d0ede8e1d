"""What a step has to say beside its result: notes, and warnings that ask for action."""

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
KINDS = {
    READ: "what a model file holds and inference does not need, or computes otherwise",
    LEFT_TO_HOST: "a final activation that the host computes",
    PREPARED: "layers that were folded, removed or reordered, with the same outputs",
    DEAD_CHANNELS: "channels that calibration never saw above 0",
    CALIBRATION: "how ranges of activations were measured",
    REGISTERS: "what converting changed, and what that costs",
    LIMITS: "where the vendor's pages differ about a limit",
    INPUT: "the images, and the scale that the model expects of them",
    SATURATION: "numbers that saturate",
    REFINED: "whether refining helped, on images held out for it",
}
NOTE, WARNING = "note", "warning"


@dataclass(frozen=True, kw_only=True)
class Note:
    """One thing that a user may want to know, or should act on.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    text : str
        One line.
    layers : tuple of str
        Layers that it is about.
    level : {"note", "warning"}
        A warning asks for action.
    details : tuple of str
        One line for each layer, where `text` sums up many.
    """

    kind: str
    text: str
    layers: tuple[str, ...] = ()
    level: str = NOTE
    details: tuple[str, ...] = ()

    @property
    def is_warning(self) -> bool:
        """Whether a user should act on it."""
        return self.level == WARNING

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = {"kind": self.kind, "level": self.level, "text": self.text}
        return values | {"layers": list(self.layers), "details": list(self.details)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any] | str) -> Note:
        """Return the note that `as_dict` gave; a bare text, as older files hold it, is a note."""
        if isinstance(entry, str):
            return cls(kind=PREPARED, text=entry)
        layers, details = tuple(entry["layers"]), tuple(entry["details"])
        texts = {key: entry[key] for key in ("kind", "level", "text")}
        return cls(**texts, layers=layers, details=details)


MEASURED = (INPUT, SATURATION, REFINED)
"""Kinds about the samples rather than about the model."""


def texts(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return the line of each note."""
    return tuple(note.text for note in notes)


def program_lines(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return the lines that a program file keeps: what is true of the model, every layer's."""
    kept = (note for note in notes if note.kind not in MEASURED)
    return tuple(line for note in kept for line in note.details or (note.text,))
