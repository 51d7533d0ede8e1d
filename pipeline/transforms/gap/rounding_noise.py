"""Estimate the noise that rounding to 8 bits adds to the inputs of a layer fitted in float."""

from __future__ import annotations

import numpy as np

LEVELS = 127
"""Steps of a signed 8-bit activation or weight, between 0 and its largest value."""
EARLIER_LAYERS = 1.3
"""Measured factor for the rounding of earlier layers."""
WEIGHTS = 1e-4
"""Relative mean squared rounding error of a weight that is a fifth of the largest one."""


def rounding_noise(largest, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the variance that rounding adds to each input of a linear layer.

    Rounding of the inputs is uniform noise of variance ``step**2 / 12``. Rounding of the weights is
    an error proportional to the inputs, including their mean, because no layer is trained with
    rounded values.

    Parameters
    ----------
    largest : float or array
        Largest input: the step is 1/127 of it.
    mean, variance : float arrays of shape (..., inputs)
        Mean and variance of each input.

    Returns
    -------
    float64 array of shape (..., inputs)
        Variance of the noise on each input.
    """
    step = np.asarray(largest, np.float64) / LEVELS
    return EARLIER_LAYERS * step**2 / 12 + WEIGHTS * (variance + np.square(mean, dtype=np.float64))
