"""Outputs of a chip's program, which the host's part takes."""

from __future__ import annotations

import numpy as np

from pipeline.errors import DataError
from simulator.akida_v2 import Outputs
from simulator.program import Program


def program_parts(program: Program, outputs: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of a program one by one.

    Parameters
    ----------
    program : Program
    outputs : array of shape (n, *program.output_shape)
        From `simulator.simulate`.

    Raises
    ------
    DataError
        When they are integers, whose scale the program does not know.
    """
    if outputs.dtype.kind != "f":
        raise DataError(
            f"{program.name}: gives integers, and the host's part takes numbers; convert the model"
            " for a chip whose programs end in a Dequantizer"
        )
    last = program.layers[-1]
    return last.parts(outputs) if isinstance(last, Outputs) else [outputs]


def output_names(program: Program) -> tuple[str, ...]:
    """Return the names of a program's outputs."""
    last = program.layers[-1]
    return last.names if isinstance(last, Outputs) else (last.name,)
