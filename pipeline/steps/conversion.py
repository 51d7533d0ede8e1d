"""Convert integers to what Python code holds, for models that are read already."""

from __future__ import annotations

from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.python import step


@step
def converted(integers: Any, target: str | None = None, **options: Any) -> ChipProgram:
    """Return the program of an integer model, with notes on what conversion changed.

    Parameters
    ----------
    integers : pipeline.quantization.quantized_graph.QuantizedGraph
    target : str, optional
        Name of the chip; by default the newest for the model's scheme.
    **options
        Those of `pipeline.chips.convert`.

    Raises
    ------
    IncompatibleModelError
        If a layer has no counterpart on the chip; lists all of them.
    """
    from pipeline.chips import convert, newest_for
    from pipeline.messages.conversion import conversion_notes

    program = convert(integers, target or newest_for(integers.scheme), **options)
    return ChipProgram(program, conversion_notes(integers.notes, program))
