"""What a block's neuron is set to, before it is rounded to registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.messages.settings import setting
from simulator.akida_v1.neuron import ACT_BITS
from simulator.limit import numbers
from simulator.refusal import Refusal


class Refused(Exception):
    """Blocks whose quantization no register can hold."""

    def __init__(self, *refusals: Refusal):
        super().__init__(*map(str, refusals))
        self.refusals = refusals


def refused(layer: str, rule: str, found: str, allowed: str = "", fix: str = "") -> Refused:
    """Return the refusal of one layer."""
    return Refused(Refusal(layers=(layer,), found=found, allowed=allowed, fix=fix, rule=rule))


def rounded(layer: str, threshold: np.ndarray) -> np.ndarray:
    """Return whole thresholds as int32, or refuse those beyond it."""
    largest = float(np.abs(threshold).max())
    if not largest < 1 << 31:
        raise refused(
            layer,
            "threshold_range",
            f"thresholds up to {largest:.3g}",
            "32 bits",
            "look for exploding weights, or a filter whose weights are nearly 0",
        )
    return threshold.astype(np.int32)


def wrong_bits(name: str, bits: int) -> Refused:
    """Return the refusal of an activation's width."""
    return refused(
        name,
        "activation_bits",
        f"{bits}-bit activations",
        f"{numbers(ACT_BITS)} on Akida 1.0",
        setting("quantization.activation_bits", 4),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Neuron:
    """Thresholds and steps in units of the layer's potential.

    Attributes
    ----------
    threshold : float64 (filters,)
        Real-valued; the register holds `rounded` of it.
    rounded : int32 (filters,)
    act_step : float32 (filters,)
        Step on the grid of 4 bits; without activation, potential per unit of output.
    activation : bool
    act_bits : int
    padding_value : float
        Of the raw image, real-valued; 0 but for a first layer whose zero is another pixel.
    """

    threshold: np.ndarray
    rounded: np.ndarray
    act_step: np.ndarray
    activation: bool
    act_bits: int = 4
    padding_value: float = 0.0

    @property
    def fraction(self) -> np.ndarray | None:
        """What rounding took from the threshold of a last layer, float32; None within the net."""
        if self.activation:
            return None
        return (self.threshold - self.rounded).astype(np.float32)
