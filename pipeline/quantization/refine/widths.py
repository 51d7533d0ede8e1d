"""Widths of Akida 1.0's registers, inside which refining keeps every layer.

Thresholds and steps count potentials, so both are large where outputs are large beside what a
layer's weights can reach: dead filters, biases above all sums, many 8-bit weights. Weights of fewer
levels make both smaller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.quantization.reach import LARGEST_THRESHOLD
from simulator.akida_v1.limits import REGISTERS


class Widths(NamedTuple):
    """Largest step and largest magnitude of a threshold."""

    step: float
    threshold: float

    def excess(self, threshold: np.ndarray, act_step: np.ndarray) -> np.ndarray:
        """Return how many times each filter's registers are too large; up to 1 they fit."""
        return np.maximum(act_step / self.step, np.abs(threshold) / self.threshold)


EMULATED = Widths(1 << 23, LARGEST_THRESHOLD - 1)
"""What the emulator takes: it refuses potentials 2**28 above a threshold, twice the highest level
of 4 bits with steps of this size."""
UNBOUNDED = Widths(np.inf, LARGEST_THRESHOLD - 1)
"""What it takes of a last layer without activation, whose potentials the host divides by steps."""


def chosen_widths(
    threshold: np.ndarray, act_step: np.ndarray, *, is_input: bool, activation: bool
) -> Widths:
    """Return the chip's widths of a layer; the emulator's where today's rule exceeds the chip's.

    Parameters
    ----------
    threshold, act_step : float64 arrays of shape (filters,)
        By today's rule.
    is_input : bool
        The layer is the input layer of the chip, whose registers are wider.
    activation : bool
        A last layer may have none.
    """
    if not activation:
        return UNBOUNDED
    found = act_step.max(), np.abs(threshold).max()
    published = ((1 << bits) - 1 for bits in REGISTERS[is_input])
    return Widths(
        *(
            chip if value <= chip else emulated
            for value, chip, emulated in zip(found, published, EMULATED, strict=True)
        )
    )
