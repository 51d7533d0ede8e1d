"""Notes of conversion: changed registers, and constants that saturate."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages.notes import REGISTERS, Note, program_lines
from pipeline.messages.saturation import register_notes
from simulator.program import Program


def conversion_notes(before: Sequence[Note], program: Program) -> tuple[Note, ...]:
    """Return the notes that arose from converting a model to `program`.

    Parameters
    ----------
    before : sequence of Note
        Notes of the quantized model, already printed; those of the program begin with them.
    program : Program
    """
    changes = program.notes[len(program_lines(before)) :]
    return (
        *(Note(kind=REGISTERS, text=text) for text in changes),
        *register_notes(program),
    )
