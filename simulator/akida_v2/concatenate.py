"""Concatenate: tensors joined along channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.integer import Tally
from simulator.layer import Layer, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Concatenate(Layer):
    """Concatenation along channels; values pass unchanged, each channel keeps its scale."""

    equation: ClassVar[str] = "y = a and b side by side along channels"

    @property
    def output_shape(self) -> Shape:
        """Height and width of the inputs, and the sum of their channels."""
        height, width, _ = self.input_shapes[0]
        return height, width, sum(shape[2] for shape in self.input_shapes)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool] | None:
        """Return (bits, signed) that hold all inputs; None if one is unknown."""
        if None in inputs:
            return None
        signed = any(sign for _, sign in inputs)
        return max(bits + (signed and not sign) for bits, sign in inputs), signed

    def run(self, *inputs: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return the inputs joined along the last axis."""
        return np.concatenate(inputs, axis=3)

    def check(self) -> Iterator[str]:
        """Check that the inputs have the same height and width."""
        if len({shape[:2] for shape in self.input_shapes}) != 1 or len(self.input_shapes) < 2:
            yield f"Concatenate takes two inputs of one height and width; found {self.input_shapes}"
