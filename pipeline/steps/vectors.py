"""Write golden vectors of a program: ``crossgrade.vectors``, and the command's work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.steps.python import issue, step
from pipeline.steps.reading import as_runnable
from pipeline.steps.scoring import as_array


@step
def vectors(model: Any, x: Any, folder: Any) -> Path:
    """Write the inputs, registers and outputs of every layer for firmware and RTL tests.

    docs/golden_vectors.md describes the format, which needs no code of crossgrade to read;
    `crossgrade.compare` takes such a folder as well.

    Parameters
    ----------
    model : ChipProgram, QuantizedModel or path-like
        A quantized model runs as the program of the newest chip that takes it.
    x : array of shape (n, *input shape), or path of a .npy file
        Images.
    folder : path-like
        Created; must not exist, or be empty.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ProgramError
        If the images do not have the program's shape, dtype and range, or the folder is not empty.
    """
    issue(write(model, x, folder))
    return Path(folder)


def write(model: Any, x: Any, folder: Any) -> list:
    """Write golden vectors as `vectors`; return a note where the images seem out of scale."""
    from pipeline.steps.simulation import Simulation
    from simulator.vectors import write_vectors

    program = as_runnable(model).program
    images, notes = Simulation(program).checked(as_array(x))
    write_vectors(program, images, folder)
    return notes
