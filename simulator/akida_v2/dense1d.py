"""Dense1D: a fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator import kernels
from simulator.akida_v2.neural_layer import NeuralLayer, weighted
from simulator.integer import Tally, saturate
from simulator.layer import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense1D(NeuralLayer):
    """Fully connected layer on the input flattened in (height, width, channel) order.

    Attributes
    ----------
    weights : int8 (inputs, units)
    input_shift : uint8 (inputs,) or None
        One shift per flattened input.
    input_value_bits : int or None
        Width, without sign, at which shifted inputs saturate before the sum. None (the chip): not
        at all. A number reproduces QuantizeML's Flatten, which aligns channels inside the small
        container of its input.
    """

    input_value_bits: int | None = None

    equation: ClassVar[str] = weighted(
        "matmul(sat(flat(x) << input_shift), to input_value_bits where given; weights)"
    )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """All inputs by all units."""
        return self.input_channels, self.weights.shape[-1]

    @property
    def input_channels(self) -> int:
        """Every flattened input counts as a channel."""
        return int(np.prod(self.input_shapes[0]))

    @property
    def accumulator_shape(self) -> Shape:
        """A vector of units."""
        return 1, 1, self.filters

    def values_at(self, stage: str) -> int:
        """Return how many values one input has at a stage; see `Layer.values_at`."""
        return self.input_channels if stage == "flatten" else super().values_at(stage)

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Flatten, shift, multiply, finish."""
        x = self.shifted(x.reshape(len(x), -1), tally)
        if self.input_value_bits is not None:
            x = saturate(x, self.input_value_bits, "flatten", tally)
        sums = kernels.matmul(x, self.weights).reshape(len(x), 1, 1, -1)
        return self.finish(self.add_bias(sums, tally), tally)

    def traits(self) -> dict:
        """Return whether inputs saturate, on top of what every neural layer has."""
        return {**super().traits(), "saturating_inputs": self.input_value_bits is not None}
