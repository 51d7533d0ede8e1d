"""The neuron of a block: its thresholds and steps before they are rounded to registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.quantization.reach import beyond
from simulator.refusal import Refusal


class RefusedQuantizationError(Exception):
    """The quantization of some blocks does not fit the registers."""

    def __init__(self, *refusals: Refusal):
        super().__init__(*map(str, refusals))
        self.refusals = refusals


def refused(
    layer: str, rule: str, found: str, allowed: str = "", fix: str = ""
) -> RefusedQuantizationError:
    """Return the refusal of one layer."""
    return RefusedQuantizationError(
        Refusal(layers=(layer,), found=found, allowed=allowed, fix=fix, rule=rule)
    )


def held(
    layer: str, threshold: np.ndarray, act_step: np.ndarray, *, activation: bool
) -> dict[str, np.ndarray]:
    """Return the fields `rounded` and `act_step` of a neuron, or refuse what no register holds."""
    if refusals := list(beyond(layer, threshold, act_step, activation=activation)):
        raise RefusedQuantizationError(*refusals)
    return {"rounded": threshold.astype(np.int32), "act_step": act_step.astype(np.float32)}


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
        In units of a pixel, real-valued. 0, except in a first layer whose zero is another pixel.
    coarser : float64 array of shape () or (filters,)
        One level in units of the integers of the quantized model.
    level : float64 array of shape () or (filters,), or None
        Value of one level of the model's output; None in other layers and without activation.
    """

    threshold: np.ndarray
    rounded: np.ndarray
    act_step: np.ndarray
    activation: bool
    act_bits: int = 4
    padding_value: float = 0.0
    coarser: np.ndarray | float = 1.0
    level: np.ndarray | None = None

    @property
    def fraction(self) -> np.ndarray | None:
        """Fraction lost by rounding a last layer's threshold, float32; None with an activation."""
        if self.activation:
            return None
        return (self.threshold - self.rounded).astype(np.float32)
