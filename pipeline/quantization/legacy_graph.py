"""A model of the 1.0 tool chain: float weights, and the quantizer of each kernel.

The formulas are those of cnn2snn's legacy ``quantize`` (Apache-2.0): symmetric kernels with one
factor per filter or per tensor, float biases, activations in equal steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.messages.notes import Note

RANGES = ("max", "max_per_axis", "std", "std_per_axis")
LARGEST_FACTOR = np.float32(1000)
SMALLEST_RANGE = np.float32(1e-10)


@dataclass(frozen=True, kw_only=True)
class WeightQuantizer:
    """Quantizer of a kernel.

    Attributes
    ----------
    bits : int
        Sign included; integers are in ``[-kmax, kmax]``, ``kmax = 2**(bits-1) - 1``.
    range : {"max", "max_per_axis", "std", "std_per_axis"}
        Definition of the largest weight, over the kernel or per filter (last axis).
    threshold : float
        Multiple of the standard deviation, for the ``std`` ranges.
    given : float32 array of shape () or (filters,), or None
        Factor of a kernel that the rule, which limits it, would quantize to other integers.
    """

    bits: int
    range: str = "max_per_axis"
    threshold: float = 3.0
    given: np.ndarray | None = field(default=None, compare=False)

    def factor(self, kernel: np.ndarray) -> np.ndarray:
        """Return integers per unit of weight, float32 of shape () or (filters,)."""
        if self.given is not None:
            return self.given
        return np.minimum(self._factor(kernel), LARGEST_FACTOR).astype(np.float32)

    def _factor(self, kernel):
        axes = tuple(range(kernel.ndim - 1)) if self.range.endswith("per_axis") else None
        if self.range.startswith("max"):
            largest = np.abs(kernel).max(axis=axes)
        else:
            largest = np.float32(self.threshold) * kernel.std(axis=axes, dtype=np.float32)
        highest = np.float32(2 ** (self.bits - 1) - 1)
        # The lower bound avoids a division by zero for a kernel of zeros, whose factor then is the
        # largest possible one.
        return highest / np.maximum(largest, SMALLEST_RANGE)

    def unlimited(self, kernel: np.ndarray) -> WeightQuantizer:
        """Return the quantizer of a kernel without the rule's limit of the factor."""
        factor = self._factor(kernel)
        if (factor <= LARGEST_FACTOR).all():
            return self
        return replace(self, given=np.asarray(factor, np.float32))

    def integers(self, kernel: np.ndarray) -> np.ndarray:
        """Return int8 weights, rounded half to even."""
        highest = 2 ** (self.bits - 1) - 1
        scaled = np.rint(kernel.astype(np.float32) * self.factor(kernel))
        return np.clip(scaled, -highest, highest).astype(np.int8)


@dataclass(frozen=True, eq=False, kw_only=True)
class LegacyGraph:
    """A float graph whose activations are ``QuantizedReLU`` nodes, with its weight quantizers.

    Attributes
    ----------
    graph : Graph
        Batch norms folded; Conv2D, SeparableConv2D, Dense, pooling, QuantizedReLU.
    quantizers : mapping of (node name, weight name) to WeightQuantizer
        One per kernel; ``depthwise_kernel`` and ``pointwise_kernel`` of separable layers.
    notes : tuple of Note
    input_bits : int
        Bit width of the unsigned inputs.
    rates : mapping of str to float32 array (channels,)
        By activation: factors that refining put on its output, and the next kernel takes back.
    """

    graph: Graph
    quantizers: Mapping[tuple[str, str], WeightQuantizer]
    notes: tuple[Note, ...] = ()
    input_bits: int = 8
    rates: Mapping[str, np.ndarray] = field(default_factory=dict)

    def fake_quantized(self) -> Graph:
        """Return the float graph with fake-quantized weights, as in the training framework."""

        def split(node):
            quantized = {
                name: (
                    quantizer.integers(node.weights[name]) / quantizer.factor(node.weights[name])
                )
                for (owner, name), quantizer in self.quantizers.items()
                if owner == node.name
            }
            return [node.with_weights(**quantized)] if quantized else None

        return self.graph.rewrite(split)
