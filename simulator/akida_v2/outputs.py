"""Outputs: the outputs of a program that has several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.integer import Tally
from simulator.layer import Layer, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Outputs(Layer):
    """Several dequantized outputs, each as a vector in row-major order, one after the other.

    Attributes
    ----------
    names : tuple of str
        Names of the outputs.
    """

    names: tuple[str, ...]

    reads_floats: ClassVar[bool] = True
    gives_floats: ClassVar[bool] = True
    on_host: ClassVar[bool] = True
    equation: ClassVar[str] = "y = the values of a, then those of b ..."

    @property
    def output_shape(self) -> Shape:
        """One pixel with all values as its channels."""
        return 1, 1, sum(map(math.prod, self.input_shapes))

    def run(self, *inputs: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return the inputs (n, h, w, channels) as float32 (n, 1, 1, values)."""
        vectors = [values.reshape(len(values), -1) for values in inputs]
        return np.concatenate(vectors, axis=1)[:, None, None]

    def parts(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Return the outputs that `run` has joined, each (n, height, width, channels).

        Parameters
        ----------
        outputs : array of shape (n, ..., values)
        """
        flat = outputs.reshape(len(outputs), -1)
        ends = np.cumsum([math.prod(shape) for shape in self.input_shapes])[:-1]
        parts = np.split(flat, ends, axis=1)
        return [
            part.reshape(-1, *shape) for part, shape in zip(parts, self.input_shapes, strict=True)
        ]

    def check(self) -> Iterator[str]:
        """Check that there are several, with a name for each."""
        if len(self.input_shapes) < 2 or len(self.names) != len(self.input_shapes):
            yield (
                f"Outputs takes two inputs or more, and a name for each; found"
                f" {len(self.input_shapes)} inputs and {len(self.names)} names"
            )
