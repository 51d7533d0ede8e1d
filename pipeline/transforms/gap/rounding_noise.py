"""Estimate the noise that rounding to 8 bits adds to the inputs of a layer fitted in float."""

from __future__ import annotations

import numpy as np

LEVELS = 127
"""Steps of a signed 8-bit activation or weight, between 0 and its largest value."""
EARLIER = 1.3
"""Factor for the rounding of earlier layers, measured."""
WEIGHTS = 1e-4
"""Mean squared error of a rounded weight by its square, where it is a fifth of the largest one."""


def rounding_noise(largest, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the variance that rounding adds to each input of a linear layer.

    Rounding of the inputs is uniform noise of variance ``step**2 / 12``. Rounding of the weights
    is an error in proportion to the inputs, including their mean, because nothing is trained with
    rounded values.

    Parameters
    ----------
    largest : float or array
        Of all inputs: the step is its 127th part.
    mean, variance : float arrays of shape (..., inputs)
        Of each input.

    Returns
    -------
    float64 array of shape (..., inputs)
        A variance.
    """
    step = np.asarray(largest, np.float64) / LEVELS
    return EARLIER * step**2 / 12 + WEIGHTS * (variance + np.square(mean, dtype=np.float64))
