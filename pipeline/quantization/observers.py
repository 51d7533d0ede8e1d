"""Observers: combine the ranges of batches into the range of a tensor.

``ema`` is defined as in QuantizeML 1.2.5, including its special case, and computed in float32: the
same batches in the same order give the same bits. `in_parts` says if the largest measurement of the
parts of a batch is that of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.messages.settings import setting


@dataclass(frozen=True)
class Ema:
    """Exponential moving average of the batches' maxima: ``old - (old - new) * (1 - momentum)``.

    Later batches weigh more, and the result depends on their order and size. A range of exactly 1
    in all channels counts as uninitialised, as in QuantizeML.

    Attributes
    ----------
    momentum : float
        Weight of earlier batches, 0 to 1.
    """

    momentum: float = 0.9
    in_parts = True

    def measure(self, values: np.ndarray, *, per_tensor: bool) -> np.ndarray:
        """Return the largest value of a batch, float32 of shape () or (channels,)."""
        return _largest(values, per_tensor)

    def merge(self, old: np.ndarray | None, new: np.ndarray, *, lower: bool = False):
        """Return the moving average; `lower` has no effect."""
        if old is None or (old == 1).all():
            return new
        return old - (old - new) * np.float32(1.0 - self.momentum)


@dataclass(frozen=True)
class Max:
    """The largest value of all batches; independent of batch size and order."""

    in_parts = True

    def measure(self, values: np.ndarray, *, per_tensor: bool) -> np.ndarray:
        """Return the largest value of a batch, float32 of shape () or (channels,)."""
        return _largest(values, per_tensor)

    def merge(self, old: np.ndarray | None, new: np.ndarray, *, lower: bool = False):
        """Return the outer bound of two ranges: the smaller one if `lower`, else the larger one."""
        if old is None:
            return new
        return np.minimum(old, new) if lower else np.maximum(old, new)


@dataclass(frozen=True)
class Percentile:
    """The largest of the batches' percentiles, so that single outliers saturate.

    Attributes
    ----------
    percentile : float
        0 to 100; larger values of a batch may saturate.
    """

    percentile: float = 99.99
    in_parts = False

    def measure(self, values: np.ndarray, *, per_tensor: bool) -> np.ndarray:
        """Return the percentile of a batch, float32 of shape () or (channels,)."""
        axes = _reduced(values, per_tensor)
        return np.asarray(np.percentile(values, self.percentile, axis=axes), np.float32)

    def merge(self, old: np.ndarray | None, new: np.ndarray, *, lower: bool = False):
        """Return the outer bound of two ranges: the smaller one if `lower`, else the larger one."""
        return Max().merge(old, new, lower=lower)


Observer = Ema | Max | Percentile


def make_observer(name: str, momentum: float = 0.9) -> Observer:
    """Return the observer called `name`: ``ema``, ``max`` or ``percentile``.

    Raises
    ------
    ConfigError
        For another name.
    """
    table = {"ema": Ema(momentum), "max": Max(), "percentile": Percentile()}
    if name not in table:
        raise ConfigError(
            f"{setting('quantization.observer')}: found '{name}'; allowed: {', '.join(table)} (ema"
            " is QuantizeML's)"
        )
    return table[name]


def _reduced(values, per_tensor):
    return None if per_tensor else tuple(range(values.ndim - 1))


def _largest(values, per_tensor):
    if values.ndim == 4 and not per_tensor:
        # Over images and lines first: loops over channels alone are mostly overhead.
        values = values.max(axis=(0, 1))
    return np.asarray(values.max(axis=_reduced(values, per_tensor)), np.float32)
