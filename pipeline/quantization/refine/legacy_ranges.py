"""Search the step of Akida 1.0's levels for the least error, saturation against step size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.quantization.refine.ranges import FACTORS, LIFT, Values, best_factor, pooled

SMALLEST = 1e-30
"""Step of an output that is always 0: far inside float32, which holds it."""


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
        Of today's rule; kept where images that did not set the step find it no better.
    fit, held : Values
        Sums after pooling and targets after the activation.
    by_channel : bool
        The next layer takes a factor per channel without losing resolution.
    """
    channels = fit.sums.shape[1]

    def steps(largest, factor):
        top = largest.max()
        reach = np.maximum(largest, top / 2.0**LIFT) if by_channel else np.full(channels, top)
        return Steps(now.bits, np.maximum(factor * reach / (2**now.bits - 1), SMALLEST))

    factor, error = best_factor(
        fit, FACTORS, lambda part, top, factor: steps(top, factor).errors(part), by_channel
    )
    found = steps(np.abs(fit.sums).max(axis=0), factor)
    before = now.errors(fit).sum(), now.errors(held).sum()
    if not pooled(fit, held, error, found.errors(held).sum()) < pooled(fit, held, *before):
        return now, np.ones(channels)
    largest = found.step.max()
    return Steps(now.bits, largest), found.step / largest
