"""FullyConnected: the dense layer of Akida 1.0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import kernels
from simulator.akida_v1.neuron import NeuralLayer
from simulator.layer import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FullyConnected(NeuralLayer):
    """Dense layer.

    Attributes
    ----------
    weights : int8 (1, 1, inputs, units)
        Inputs in *column-major* order: (channel, width, height), the height varying fastest.
    """

    label = "Fully."

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return 1, 1, int(np.prod(self.input_shapes[0])), self.weights.shape[-1]

    @property
    def potential_shape(self) -> Shape:
        """Shape of the sums: (1, 1, units)."""
        return 1, 1, self.filters

    def potentials(self, x: np.ndarray) -> np.ndarray:
        """Return the products of the input, flattened column-major, with the weights."""
        flat = x.transpose(0, 3, 2, 1).reshape(len(x), -1)
        return kernels.matmul(flat, self.weights[0, 0]).reshape(len(x), 1, 1, -1)
