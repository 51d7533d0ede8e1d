"""Thresholds and steps of Akida 1.0 as functions of what the scheme cnn2snn stores, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.chips.akida_v1.legacy_neurons import _input_scaling, _pooled_positions
from pipeline.chips.blocks import View
from pipeline.quantization.quantized_graph import QuantizedGraph

LARGEST = 1 << 22
"""Largest threshold that a float32 bias stands for exactly, see `Unit.bias`."""


@dataclass(frozen=True)
class Unit:
    """What a layer's registers are multiples of; the formulas are the converter's.

    Attributes
    ----------
    factor_name : str
        The register that is trained: integers per unit of weight, of the last kernel.
    a, b : float
        Integers of the input: ``a * x + b``.
    other : float64 array of shape () or (channels,)
        Product of the other kernels' factors.
    step : float or None
        One level of the activation; None without one.
    bits, pixels : int
        Width of the activation; positions that a global average sums.
    kernel : str
        Name of the kernel that reads the input.
    """

    factor_name: str
    a: float
    b: float
    other: np.ndarray
    step: float | None
    bits: int
    pixels: int
    kernel: str

    def act_step(self, factor):
        """Return the step's register before it is rounded to float32."""
        step = 1.0 if self.step is None else self.step * 2**self.bits / 16
        return self.a * (self.other * factor) * step * self.pixels

    def threshold(self, factor, bias):
        """Return the real-valued threshold of a layer without an offset of its input."""
        step = 0.0 if self.step is None else self.step / 2
        return self.a * (self.other * factor) * (step - bias) * self.pixels

    def bias(self, registers, factor: np.ndarray, threshold: np.ndarray) -> np.ndarray:
        """Return the float32 bias from which conversion computes an integer threshold.

        The bias is for a threshold half a unit higher, since conversion rounds down: its float32
        rounding has no effect on thresholds up to `LARGEST`.
        """
        kernel = registers[self.kernel]
        sums = kernel.astype(np.int64).sum(axis=tuple(range(kernel.ndim - 1)))
        offset = self.b * sums * self.pixels if self.b else 0.0
        slope = self.a * (self.other * factor) * self.pixels
        return (self.step / 2 - (threshold + 0.5 - offset) / slope).astype(np.float32)


def units(graph: QuantizedGraph) -> list[Unit]:
    """Return the unit of each layer of a linear chain."""
    (a, b), found = _input_scaling(graph), []
    for block in View(graph, graph).blocks:
        registers, relu = block.head.registers, block.member("ReLU")
        *others, last = (name for name in registers if name.endswith("kernel"))
        other = np.float64(1)
        for name in others:
            other = other * registers[f"{name}_factor"].astype(np.float64)
        pool = block.member("GlobalAveragePooling2D")
        step = float(relu.registers["step"]) if relu else None
        found.append(
            Unit(
                factor_name=f"{last}_factor",
                a=a,
                b=b,
                other=other,
                step=step,
                bits=relu.bits["output"] if relu else 4,
                pixels=_pooled_positions(block, pool) if pool else 1,
                kernel=(*others, last)[0],
            )
        )
        a, b = 1 / (step or 1.0), 0.0
    return found
