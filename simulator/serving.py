"""Answer predictions from a program file: the loader that MLflow calls for a served model."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from simulator.classes import classify
from simulator.engine import simulate
from simulator.image_scale import input_warning
from simulator.program import Program


@dataclass(frozen=True, eq=False)
class ServedProgram:
    """A program behind ``predict``."""

    program: Program

    def predict(self, model_input, params=None) -> np.ndarray:
        """Return the program's outputs; logs a warning where the images are of another scale.

        Parameters
        ----------
        model_input : array of shape (n, *program.input_shape)
            Of the program's input type.
        params : mapping, optional
            ``classes``: True returns the class of each image, int64 of shape (n,), as
            `simulator.classes.classify` defines it, instead of the outputs.

        Raises
        ------
        ProgramError
            When the images are not of the program's type and shape.
        """
        images = np.asarray(model_input)
        outputs = simulate(self.program, images)
        if warning := input_warning(self.program, images):
            logging.getLogger(__name__).warning(warning)
        return classify(outputs) if (params or {}).get("classes") else outputs


def _load_pyfunc(path: str) -> ServedProgram:
    """Load the program at `path`; MLflow finds this function by its name."""
    return ServedProgram(Program.load(path))
