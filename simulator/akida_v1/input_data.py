"""InputData: integer inputs, passed on unchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.integer import Tally, integer_range
from simulator.layer import Layer, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class InputData(Layer):
    """Unsigned activations from outside.

    Attributes
    ----------
    input_bits : int
        Width of an input.
    """

    input_bits: int = 4

    @property
    def output_shape(self) -> Shape:
        """Shape of the input."""
        return self.input_shapes[0]

    @property
    def input_range(self) -> tuple[int, int]:
        """Smallest and largest integer of `input_bits` bits."""
        return integer_range(self.input_bits, False)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool]:
        """Return the width of the inputs, unsigned."""
        return self.input_bits, False

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return the inputs as int32."""
        return x.astype(np.int32)

    def traits(self) -> dict:
        """Return the facts of every layer, and the width of the inputs."""
        return {**super().traits(), "input_bits": self.input_bits}
