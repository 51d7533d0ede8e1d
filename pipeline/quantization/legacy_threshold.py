"""Thresholds and steps of Akida 1.0's neurons from float biases and equal steps.

The formulas are those of the legacy converter (cnn2snn, Apache-2.0): a layer's input is ``a * x +
b``, where x is the float model's; its integer kernel is ``delta`` times the float kernel.
"""

from __future__ import annotations

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


def neuron(
    head: QuantizedNode, given: Scaling, step: float | None, bits: int = 4, pixels: int = 1
) -> Neuron:
    """Return the threshold and step of a layer.

    Parameters
    ----------
    head : QuantizedNode
        Integer kernels with their factors, and the float bias.
    given : Scaling
        Of the layer's input; only pixels have an offset.
    step : float or None
        One level of the activation; None without one.
    bits : int
        Width of the activation; the step's register counts in levels of 4 bits.
    pixels : int
        Positions that a global average sums.
    """
    kernels = [name for name in head.registers if name.endswith("kernel")]
    delta = np.float64(1)
    for name in kernels:
        delta = delta * head.registers[f"{name}_factor"].astype(np.float64)
    filters = (head.shape[-1],)
    bias = head.registers.get("bias", np.zeros(filters, np.float32)).astype(np.float64)
    threshold = given.a * delta * ((0.0 if step is None else step / 2) - bias)
    act_step = given.a * delta * (1.0 if step is None else step * 2**bits / 16)
    if given.b:
        axes = tuple(range(head.registers[kernels[0]].ndim - 1))
        threshold = threshold + head.registers[kernels[0]].astype(np.int64).sum(axis=axes) * given.b
    return Neuron(
        np.broadcast_to(threshold * pixels, filters).astype(np.float64),
        np.broadcast_to(act_step * pixels, filters).astype(np.float64),
    )
