"""A chip's program, as Python code holds it."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.steps.python import issue
from pipeline.steps.scoring import as_array, as_labels, fit


class ChipProgram:
    """A program of Akida layers, which the bit-exact emulator runs.

    Attributes
    ----------
    program : simulator.Program
        Layers with their registers.
    notes : tuple of Note
        What conversion changed.
    """

    def __init__(self, program: Any, notes: Iterable = ()):
        self.program, self.notes = program, tuple(notes)

    def __repr__(self) -> str:
        layers = len(self.program.layers)
        return f"<ChipProgram {self.name!r} on {self.target}: {layers} layers>"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.program.name

    @property
    def target(self) -> str:
        """Name of the chip."""
        return self.program.target

    @property
    def limits(self) -> list[str]:
        """The chip's published limits that the program exceeds; empty if it fits."""
        return list(self.program.limits())

    def summary(self) -> None:
        """Print the layers as the vendor's tools do, and exceeded limits of the chip."""
        from simulator.summary import summary

        print(summary(self.program), end="")
        for limit in self.limits:
            print(f"exceeds the chip: {limit}")

    def predict(self, x: Any, *, backend: str = "auto") -> np.ndarray:
        """Return the outputs for images.

        Images of another scale than the program expects, and numbers that saturate, give a warning.

        Parameters
        ----------
        x : array of shape (n, *input shape), or path of a .npy file
            For a program with buffered layers, successive frames of one stream.
        backend : {"auto", "fast", "numpy", "reference"}
            How the emulator computes; the integers are the same.

        Returns
        -------
        array of shape (n, *output shape)
            float32, or integers whose unit the program does not name.

        Raises
        ------
        ProgramError
            If the images do not have the program's shape, dtype and range.
        """
        return self._run(x, backend=backend).result

    def _run(self, x: Any, **settings: Any) -> Any:
        from pipeline.steps.simulation import Simulation

        simulation = Simulation(self.program)
        images, notes = simulation.checked(as_array(x))
        issue(notes)
        done = simulation.run(images, **settings)
        issue(done.notes)
        return done

    def trace(self, x: Any, *, backend: str = "auto") -> dict[str, np.ndarray]:
        """Return the integer output of each layer by its name; arguments as in `predict`."""
        return self._run(x, backend=backend, traced=True).trace

    def evaluate(self, x: Any, y: Any, *, backend: str = "auto") -> dict[str, float]:
        """Return how well outputs fit labels.

        Parameters
        ----------
        x : array of shape (n, *input shape), or path of a .npy file
        y : array or path
            Whole numbers are classes; floats are numbers to estimate.
        backend : str
            As in `predict`.

        Returns
        -------
        dict
            ``accuracy``, or ``mean_absolute_error`` for numbers.
        """
        outputs = self.predict(x, backend=backend)
        labels = as_labels(y, images=len(outputs), outputs=prod(self.program.output_shape))
        return fit(outputs, labels)

    def save(self, path: Any) -> None:
        """Write the program.

        Parameters
        ----------
        path : path-like
            ``.npz``, which `python -m simulator` runs too, or ``.onnx``: the same integers in
            standard operators.

        Raises
        ------
        ModelError
            For another suffix.
        """
        from pipeline.errors import ModelError

        suffix = Path(path).suffix
        if suffix == ".onnx":
            from pipeline.exporters.program_onnx import export_program_onnx

            export_program_onnx(path, self.program)
        elif suffix == ".npz":
            self.program.save(path)
        else:
            raise ModelError(f"{path}: cannot be written; allowed suffixes: .npz, .onnx")
