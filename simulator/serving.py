"""Serve predictions of a program file: the loader that MLflow calls."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

import numpy as np

from simulator.classes import classify
from simulator.engine import simulate
from simulator.errors import ProgramError
from simulator.image_scale import are_fractions, expected_range, input_warning
from simulator.program import Program


@dataclass(frozen=True, eq=False)
class ServedProgram:
    """Program with MLflow's ``predict`` interface."""

    program: Program

    def predict(self, model_input, params=None) -> np.ndarray:
        """Return the program's outputs; log a warning if the images have another scale.

        Parameters
        ----------
        model_input : array of shape (n, *program.input_shape)
            In the program's input dtype, or one that casts to it without loss, as JSON's numbers.
        params : mapping, optional
            ``classes``: True returns the class of each image, int64 of shape (n,), by
            `simulator.classes.classify`, instead of the outputs.

        Returns
        -------
        array of shape (n, *program.output_shape)
            See `simulator.engine.simulate`.

        Raises
        ------
        ProgramError
            If the images do not have the program's shape and range, lose values in its dtype, or
            were divided by 255 where it expects pixels; within MLflow as MLflow's exception.
        """
        images = np.asarray(model_input)
        try:
            outputs = simulate(self.program, images)
        except ProgramError as error:
            raise _for_clients(error) from error
        if warning := input_warning(self.program, images):
            if are_fractions(images, expected_range(self.program)):
                raise _for_clients(ProgramError(warning))  # clients do not see the log
            logging.getLogger(__name__).warning(warning)
        return classify(outputs) if (params or {}).get("classes") else outputs


def _for_clients(error: ProgramError) -> Exception:
    """Return the exception whose message MLflow's server sends as a refusal (status 400).

    It hides the messages of others. It is not imported: a served program needs only NumPy.
    """
    exceptions = sys.modules.get("mlflow.exceptions")
    if exceptions is None:
        return error
    return exceptions.MlflowException.invalid_parameter_value(str(error))


def _load_pyfunc(path: str) -> ServedProgram:
    """Load the program at `path`; MLflow requires this function's name."""
    return ServedProgram(Program.load(path))
