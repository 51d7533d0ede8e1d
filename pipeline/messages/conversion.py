"""What converting has to say: registers that it changed, and constants that saturate."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages.notes import REGISTERS, Note, program_lines
from pipeline.messages.saturation import register_notes
from simulator.program import Program


def conversion_notes(before: Sequence[Note], program: Program) -> tuple[Note, ...]:
    """Return what arose when a model became `program`.

    Parameters
    ----------
    before : sequence of Note
        Those of the quantized model, which have been printed; the program begins with them.
    program : Program
    """
    changes = program.notes[len(program_lines(before)) :]
    return (
        *(Note(kind=REGISTERS, text=text) for text in changes),
        *register_notes(program),
    )
