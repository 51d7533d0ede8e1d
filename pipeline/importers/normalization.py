"""Read Keras' Normalization layer: a Rescaling by statistics of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.keras_values import flag, numbers

EPSILON = 1e-7
"""The smallest standard deviation that Keras divides by (``keras.backend.epsilon()``)."""


def rescaling_attrs(
    config: Mapping[str, Any], weights: Mapping[str, np.ndarray], rank: int
) -> dict[str, Any]:
    """Return the attributes of the ``Rescaling`` that computes (x - mean) / deviation.

    Parameters
    ----------
    config : mapping
        Has ``mean`` and ``variance`` if they were arguments of the layer.
    weights : mapping
        Has them if the layer was adapted.
    rank : int
        Number of axes of the input, including the batch.

    Raises
    ------
    ModelError
        If the statistics are not per channel; the message lacks the layer's name.
    """
    axes = config.get("axis", -1)
    axes = axes if isinstance(axes, list) else [axes]
    if axes not in ([-1], [rank - 1], [None], []):
        raise ModelError(
            f"axis is {config['axis']}; allowed: the last one (a mean for each channel) or none"
        )
    mean, variance = (_statistic(config, weights, key) for key in ("mean", "variance"))
    if np.any(variance < 0):
        raise ModelError("its variance is negative; the file is damaged")
    deviation = np.maximum(np.sqrt(variance), EPSILON)
    if flag(config.get("invert", False)):
        scale, offset = deviation, mean
    else:
        scale, offset = 1 / deviation, -mean / deviation
    return {"scale": _plain(scale), "offset": _plain(offset)}


def _statistic(config, weights, key):
    given = config.get(key)
    if given is None and key not in weights:
        raise ModelError(f"it has no {key}: adapt() was never called; adapt it and save again")
    value = weights[key].tolist() if given is None else given
    return np.asarray(numbers(value), np.float64)


def _plain(array):
    array = np.asarray(array)
    return float(array) if array.ndim == 0 else tuple(map(float, array))
