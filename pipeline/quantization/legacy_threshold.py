"""Thresholds and steps of Akida 1.0's neurons from float biases and equal steps.

The formulas are those of the legacy converter (cnn2snn, Apache-2.0): a layer's input is ``a * x +
b``, where x is the float model's; its integer kernel is ``delta`` times the float kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.quantization.quantized_graph import QuantizedNode


class Scaling(NamedTuple):
    """Integers of a tensor: ``a * x + b``, where x is the float model's value."""

    a: float = 1.0
    b: float = 0.0

    def rescaled(self, scale: float, offset: float) -> Scaling:
        """Return the scaling of the values ``scale * x + offset``, whose integers are the same."""
        return Scaling(self.a / scale, self.b - self.a * offset / scale)


class Neuron(NamedTuple):
    """Float64 arrays of shape (filters,), in units of the potentials."""

    threshold: np.ndarray
    act_step: np.ndarray


@dataclass(frozen=True)
class Unit:
    """What a layer's registers are multiples of, apart from its weights' factor ``delta``.

    Its formulas take arrays of NumPy and tensors of TensorFlow alike.

    Attributes
    ----------
    given : Scaling
        Of the layer's input; only pixels have an offset.
    step : float or None
        One level of the activation; None without one.
    bits : int
        Width of the activation; the step's register counts in levels of 4 bits.
    pixels : int
        Positions that a global average sums.
    """

    given: Scaling
    step: float | None
    bits: int = 4
    pixels: int = 1

    def act_step(self, delta):
        """Return the step's register before it is rounded to float32."""
        step = 1.0 if self.step is None else self.step * 2**self.bits / 16
        return self.given.a * delta * step * self.pixels

    def threshold(self, delta, bias, sums=0):
        """Return the real-valued threshold; `sums` of each integer filter matter to an offset."""
        half = 0.0 if self.step is None else self.step / 2
        threshold = self.given.a * delta * (half - bias)
        if self.given.b:
            threshold = threshold + sums * self.given.b
        return threshold * self.pixels

    def bias(self, delta, threshold, sums=0):
        """Return the bias of a layer with an activation from which a threshold follows."""
        offset = sums * self.given.b * self.pixels
        return self.step / 2 - (threshold - offset) / (self.given.a * delta * self.pixels)


def filter_sums(kernel: np.ndarray) -> np.ndarray:
    """Return the sum of each filter's integers, int64 of shape (filters,)."""
    return kernel.astype(np.int64).sum(axis=tuple(range(kernel.ndim - 1)))


def neuron(
    head: QuantizedNode, given: Scaling, step: float | None, bits: int = 4, pixels: int = 1
) -> Neuron:
    """Return the threshold and step of a layer.

    Parameters
    ----------
    head : QuantizedNode
        Integer kernels with their factors, and the float bias.
    given, step, bits, pixels
        As in `Unit`.
    """
    kernels = [name for name in head.registers if name.endswith("kernel")]
    delta = np.float64(1)
    for name in kernels:
        delta = delta * head.registers[f"{name}_factor"].astype(np.float64)
    filters = (head.shape[-1],)
    bias = head.registers.get("bias", np.zeros(filters, np.float32)).astype(np.float64)
    unit = Unit(given, step, bits, pixels)
    return Neuron(
        *(
            np.broadcast_to(value, filters).astype(np.float64)
            for value in (
                unit.threshold(delta, bias, filter_sums(head.registers[kernels[0]])),
                unit.act_step(delta),
            )
        )
    )
