"""InputData: integers that enter as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.integer import Tally, whole_range
from simulator.layer import Layer, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class InputData(Layer):
    """Unsigned activations from outside.

    Attributes
    ----------
    input_bits : int
    """

    input_bits: int = 4

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shapes[0]

    @property
    def input_range(self) -> tuple[int, int]:
        """What the input bits hold."""
        return whole_range(self.input_bits, False)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool]:
        """Return the input bits."""
        return self.input_bits, False

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Pass integers on."""
        return x.astype(np.int32)

    def traits(self) -> dict:
        """Return the width of the inputs."""
        return {**super().traits(), "input_bits": self.input_bits}
