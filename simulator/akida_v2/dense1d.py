"""Dense1D: fully connected layer."""

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
        Width, without sign, at which shifted inputs saturate before the sum. None (the chip) does
        not saturate them. A number reproduces QuantizeML's Flatten, which aligns channels within
        the narrow container of its input.
    """

    input_value_bits: int | None = None

    equation: ClassVar[str] = weighted(
        "matmul(sat(flat(x) << input_shift), to input_value_bits where given; weights)"
    )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return self.input_channels, self.weights.shape[-1]

    @property
    def input_channels(self) -> int:
        """Number of flattened inputs, each with its own shift."""
        return int(np.prod(self.input_shapes[0]))

    @property
    def accumulator_shape(self) -> Shape:
        """Shape of the sums: (1, 1, units)."""
        return 1, 1, self.filters

    def values_at(self, stage: str) -> int:
        """Return the number of values per image that a stage counts; see `Layer.values_at`."""
        return self.input_channels if stage == "flatten" else super().values_at(stage)

    def shifted(self, x: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return the flattened inputs, aligned, and saturated where `input_value_bits` says so."""
        x = super().shifted(x.reshape(len(x), -1), tally)
        if self.input_value_bits is None:
            return x
        return saturate(x, self.input_value_bits, "flatten", tally)

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the products of flattened inputs and weights, int64 (n, 1, 1, units)."""
        return kernels.matmul(x, self.weights).reshape(len(x), 1, 1, -1)

    def traits(self) -> dict:
        """Return the facts of every neural layer, and whether inputs saturate."""
        return {**super().traits(), "saturating_inputs": self.input_value_bits is not None}
