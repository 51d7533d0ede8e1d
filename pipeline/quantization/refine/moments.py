"""Second moments of a layer's inputs, and the kernel that fits its targets best.

Arrays have a leading axis of groups: a convolution is one group of ``kh * kw * channels`` inputs,
a depthwise convolution one group of ``kh * kw`` inputs for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Moments:
    """Centred second moments of rows x (inputs) and y (targets); float64.

    Attributes
    ----------
    inputs : array of shape (groups, inputs, inputs)
        Mean of ``(x - mean_x) (x - mean_x)'``.
    targets : array of shape (groups, inputs, filters)
        Mean of ``(x - mean_x) (y - mean_y)'``.
    mean_x : array of shape (groups, inputs)
    mean_y : array of shape (groups, filters)
    """

    inputs: np.ndarray
    targets: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray

    def ridge(self, strength: float) -> np.ndarray:
        """Return what is added to the diagonal, of shape (groups, 1): a share of its mean."""
        diagonal = np.diagonal(self.inputs, axis1=1, axis2=2)
        return strength * diagonal.mean(axis=1, keepdims=True) + 1e-12

    def ridged(self, strength: float) -> np.ndarray:
        """Return `inputs` with the ridge on the diagonal, of the same shape."""
        return self.inputs + self.ridge(strength)[:, :, None] * np.eye(self.inputs.shape[-1])

    def refit(self, kernel: np.ndarray, strength: float) -> np.ndarray:
        """Return the kernel of least squared error that a ridge draws towards `kernel`."""
        wanted = self.targets + self.ridge(strength)[:, :, None] * kernel
        return np.linalg.solve(self.ridged(strength), wanted)


def moments(x: np.ndarray, y: np.ndarray) -> Moments:
    """Return the moments of rows.

    Parameters
    ----------
    x : array of shape (groups, rows, inputs)
    y : array of shape (groups, rows, filters)
    """
    mean_x, mean_y = x.mean(axis=1, dtype=np.float64), y.mean(axis=1, dtype=np.float64)
    centred = x - mean_x[:, None]
    across = centred.transpose(0, 2, 1) / x.shape[1]
    return Moments(across @ centred, across @ (y - mean_y[:, None]), mean_x, mean_y)
