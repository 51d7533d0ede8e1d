"""Sums over images of how far integers are from floats, and the figures that they give."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NO_ERROR = 200.0
"""Decibels of a layer without any error: beyond float32."""
CONSTANT = 1e-9
"""Share of the mean square below which the variance is rounding of the two sums."""


@dataclass(frozen=True, kw_only=True)
class Error:
    """How far a layer's output is from the float model's.

    Attributes
    ----------
    decibels : float
        Signal to quantization noise, at most `NO_ERROR`: 10 log10 of the float output's variance
        around each channel's mean over the error's mean square. (The mean square itself counts
        where nothing varies, as of a single image.)
    cosine : float
        Of the angle between both outputs.
    bias : float
        Share of the error's power that is a shift of whole channels, 0 to 1.
    largest : float
        Largest absolute error, in float units.
    smape : float
        Mean of |f - q| / (|f| + |q|) over values that do not saturate, as QuantizeML defines it.
    saturated : float
        Share of values at the end of the integer range.
    channels : tuple of (int, float)
        Worst channels with their share of the error's power, at most three.
    """

    decibels: float
    cosine: float
    bias: float
    largest: float
    smape: float
    saturated: float
    channels: tuple[tuple[int, float], ...]


class ErrorSums:
    """Collects an `Error` batch by batch."""

    def __init__(self):
        self.count = self.kept = self.saturated = 0
        self.square = self.output = self.product = self.relative = self.largest = 0.0
        # One value per channel after the first batch.
        self.power = self.shift = self.total = np.float64(0)

    def add(self, floats: np.ndarray, found: np.ndarray, saturated: np.ndarray) -> None:
        """Add a batch.

        Parameters
        ----------
        floats, found : arrays of shape (n, ..., channels)
            Outputs of the float model, and those that the integers stand for.
        saturated : bool array of the same shape
        """
        floats, found = (values.astype(np.float64) for values in (floats, found))
        wrong = (found - floats).reshape(-1, floats.shape[-1])
        self.power = self.power + np.square(wrong).sum(axis=0)
        self.shift = self.shift + wrong.sum(axis=0)
        self.total = self.total + floats.reshape(wrong.shape).sum(axis=0)
        self.count += floats.size
        self.square += float(np.square(floats).sum())
        self.output += float(np.square(found).sum())
        self.product += float((floats * found).sum())
        self.largest = max(self.largest, float(np.abs(wrong).max()))
        self.saturated += int(np.count_nonzero(saturated))
        self.kept += int(floats.size - np.count_nonzero(saturated))
        size = np.abs(floats) + np.abs(found)
        usable = ~saturated & (size > 0)
        self.relative += float((np.abs(found - floats)[usable] / size[usable]).sum())

    @property
    def noise(self) -> float:
        """Sum of squared errors."""
        return float(np.sum(self.power))

    @property
    def signal(self) -> float:
        """Sum of squared differences from each channel's mean, or of squares if there is none."""
        rows = self.count / np.size(self.power)
        varying = self.square - float(np.square(self.total).sum()) / rows
        return varying if varying > CONSTANT * self.square else self.square

    def result(self) -> Error:
        """Return the figures."""
        rows = self.count / np.size(self.power)
        order = np.argsort(self.power)[::-1][:3]
        noise = self.noise
        return Error(
            decibels=_decibels(self.signal, noise),
            cosine=self.product / math.sqrt(self.square * self.output)
            if self.square and self.output
            else float(self.square == self.output),
            bias=float(np.square(self.shift).sum() / rows / noise) if noise else 0.0,
            largest=self.largest,
            smape=self.relative / self.kept if self.kept else 0.0,
            saturated=self.saturated / self.count if self.count else 0.0,
            channels=tuple(
                (int(channel), float(self.power[channel] / noise)) for channel in order if noise
            ),
        )


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return NO_ERROR
    if not signal:
        return -NO_ERROR
    return min(10 * math.log10(signal / noise), NO_ERROR)
