"""A quantized model, as Python code holds it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.conversion import converted
from pipeline.steps.python import issue, step

SUFFIXES = (".npz", ".h5", ".onnx")


class QuantizedModel:
    """A quantized model: integers, the same for every chip of its scheme.

    It runs as the program of the newest chip that takes it.

    Attributes
    ----------
    loaded : object
        The model in its phase: just quantized, or read from a vendor's file.
    notes : tuple of Note
        How it was quantized.
    """

    def __init__(self, loaded: Any, notes: Iterable | None = None):
        self.loaded = loaded
        self.notes = tuple(self.integers.notes if notes is None else notes)

    def __repr__(self) -> str:
        return f"<QuantizedModel {self.name!r}: scheme {self.integers.scheme}>"

    @cached_property
    def integers(self) -> Any:
        """The integer model, a `pipeline.quantization.quantized_graph.QuantizedGraph`."""
        from pipeline.quantization.integers import integers

        return integers(self.loaded)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.integers.name

    @cached_property
    def program(self) -> ChipProgram:
        """Program of the newest chip that takes the model."""
        return converted(self.integers)

    def summary(self) -> None:
        """Print layers, shapes, and bit widths of weights and outputs."""
        from pipeline.quantization.describe import describe_quantized

        print(describe_quantized(self.integers))

    def predict(self, x: Any) -> np.ndarray:
        """Return the outputs for images, as `ChipProgram.predict`."""
        return self.program.predict(x)

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Return how well outputs fit labels, as `ChipProgram.evaluate`."""
        return self.program.evaluate(x, y)

    @step
    def save(self, path: Any) -> None:
        """Write the model; nothing is quantized again.

        Parameters
        ----------
        path : path-like
            ``.npz`` is crossgrade's own; ``.h5`` the file of the vendor's tool for the model's
            scheme (QuantizeML's or cnn2snn's), ``.onnx`` the program in standard operators.
        """
        from pipeline.errors import ModelError
        from pipeline.exporters.formats import export
        from pipeline.quantization.archive import save_quantized

        if Path(path).suffix not in SUFFIXES:
            allowed = ", ".join(SUFFIXES)
            raise ModelError(f"{path}: cannot be written; allowed suffixes: {allowed}")
        if Path(path).suffix == ".npz":
            save_quantized(path, self.integers)
        else:
            name = "onnx" if Path(path).suffix == ".onnx" else self.integers.scheme
            issue(export(path, self.integers, name))
