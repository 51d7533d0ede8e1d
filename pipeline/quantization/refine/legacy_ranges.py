"""Search the step of Akida 1.0's levels for the least error, saturation against step size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.quantization.refine.ranges import FACTORS, LIFT, Values


@dataclass(frozen=True, eq=False)
class Steps:
    """Levels ``clip(ceil(z / step - 1/2), 0, 2**bits - 1)`` of sums z, each worth `step`.

    Attributes
    ----------
    bits : int
    step : float64 array of shape () or (channels,)
    """

    bits: int
    step: np.ndarray

    def errors(self, values: Values) -> np.ndarray:
        """Return the mean squared error of each channel, of shape (channels,)."""
        levels = np.clip(np.ceil(values.sums / self.step - 0.5), 0, 2**self.bits - 1)
        return np.square(levels * self.step - values.targets).mean(axis=0)


def refine_step(
    now: Steps, fit: Values, held: Values, *, by_channel: bool
) -> tuple[Steps, np.ndarray]:
    """Return the best scalar step, and the ratio of each channel's own step to it.

    Parameters
    ----------
    now : Steps
        Of today's rule; kept where held-out images find no better step.
    fit, held : Values
        Sums after pooling and targets after the activation.
    by_channel : bool
        The next layer takes a factor per channel without losing resolution.
    """
    top = np.maximum(fit.sums, 0).max(axis=0)
    if not top.any():
        return now, np.ones_like(top)
    reach = np.maximum(top, top.max() / 2.0**LIFT) if by_channel else np.full_like(top, top.max())
    best, errors = now.step * np.ones_like(top), now.errors(fit)
    for factor in FACTORS:
        step = factor * reach / (2**now.bits - 1)
        new = Steps(now.bits, step).errors(fit)
        better = new < errors if by_channel else new.sum() < errors.sum()
        best, errors = np.where(better, step, best), np.where(better, new, errors)
    found = Steps(now.bits, best)
    if not found.errors(held).sum() < now.errors(held).sum():
        return now, np.ones_like(top)
    largest = best.max()
    return Steps(now.bits, largest), best / largest
