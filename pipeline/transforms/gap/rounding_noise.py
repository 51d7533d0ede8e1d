"""What rounding to 8 bits will add to a layer that is fitted in float."""

from __future__ import annotations

import numpy as np

LEVELS = 127
"""Steps of a signed 8-bit activation or weight, between 0 and its largest value."""
EARLIER = 1.3
"""Variance that layers before add to that of the rounding itself, about."""
WEIGHTS = 1e-4
"""Mean squared error of a rounded weight by its square, where it is a fifth of the largest one."""


def rounding_noise(largest, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return by how much rounding spreads each input of a linear layer.

    Rounding of the inputs is uniform noise of ``step**2 / 12``; that of weights is an error in
    proportion to the inputs, their mean included: no training with rounded values makes up for it.

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
