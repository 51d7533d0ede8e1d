"""What thresholds and steps of Akida 1.0 depend on where kernels and their factors are trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.chips.akida_v1.legacy_neurons import _input_scaling, _pooled_positions
from pipeline.chips.blocks import View
from pipeline.quantization.legacy_threshold import Scaling, Unit, filter_sums
from pipeline.quantization.quantized_graph import QuantizedGraph

LARGEST = 1 << 22
"""Largest threshold that a float32 bias stands for exactly, see `TrainedUnit.stored_bias`."""


@dataclass(frozen=True)
class TrainedUnit(Unit):
    """The unit of a layer whose last kernel's factor is trained.

    Attributes
    ----------
    factor_name : str
        The register that is trained: integers per unit of weight, of the last kernel.
    other : float64 array of shape () or (channels,)
        Product of the other kernels' factors.
    kernel : str
        Name of the kernel that reads the input.
    """

    factor_name: str = ""
    other: np.ndarray | float = 1.0
    kernel: str = ""

    def delta(self, factor):
        """Return the product of all factors."""
        return self.other * factor

    def stored_bias(self, registers, factor: np.ndarray, threshold: np.ndarray) -> np.ndarray:
        """Return the float32 bias from which conversion computes an integer threshold.

        The bias is for a threshold half a unit higher, since conversion rounds down: its float32
        rounding has no effect on thresholds up to `LARGEST`.
        """
        bias = self.bias(self.delta(factor), threshold + 0.5, filter_sums(registers[self.kernel]))
        return bias.astype(np.float32)


def units(graph: QuantizedGraph) -> list[TrainedUnit]:
    """Return the unit of each layer of a linear chain."""
    given, found = Scaling(*_input_scaling(graph)), []
    for block in View(graph, graph).blocks:
        registers, relu = block.head.registers, block.member("ReLU")
        *others, last = (name for name in registers if name.endswith("kernel"))
        other = np.float64(1)
        for name in others:
            other = other * registers[f"{name}_factor"].astype(np.float64)
        pool = block.member("GlobalAveragePooling2D")
        step = float(relu.registers["step"]) if relu else None
        found.append(
            TrainedUnit(
                given=given,
                step=step,
                bits=relu.bits["output"] if relu else 4,
                pixels=_pooled_positions(block, pool) if pool else 1,
                factor_name=f"{last}_factor",
                other=other,
                kernel=(*others, last)[0],
            )
        )
        given = Scaling(1 / (step or 1.0))
    return found
