"""Output memory of a step, including the padding that the next layer's windows read."""

from __future__ import annotations

import numba
import numpy as np

from simulator.plan.fast.measuring import measure
from simulator.plan.workspace import Workspace

NO_PADS = ((0, 0), (0, 0))


class Border:
    """Memory layout of an output with padding.

    Parameters
    ----------
    shape : (height, width, channels)
    pads : ((top, bottom), (left, right))
        Zeros around each image.
    slack : int
        Number of uninitialized values after the last image that tiles may read.
    """

    def __init__(self, shape, pads=NO_PADS, slack: int = 0):
        self.shape, self.slack = tuple(shape), slack
        (top, bottom), (left, right) = pads
        height, width, channels = shape
        self.padded_shape = (height + top + bottom, width + left + right, channels)
        row = self.padded_shape[1] * channels
        self.steps = (self.padded_shape[0] * row, row, channels)
        self.corner = (top, left)
        self.first = top * row + left * channels

    def take(self, work: Workspace, images: int) -> tuple[np.ndarray, np.ndarray]:
        """Return memory for images, whose padding is already zero.

        Returns
        -------
        flat : int16 (size,)
            From the first value of the first image on.
        array : int16 (images, h, w, c)
            View of the images without padding; to be released to `work`.
        """
        size = images * self.steps[0]
        flat = work.take((size + self.slack,), np.int16)
        array = flat[:size].reshape(images, *self.padded_shape)
        if self.padded_shape != self.shape:
            clear(array, self.corner, self.shape)
            (top, left), (height, width, _) = self.corner, self.shape
            array = array[:, top : top + height, left : left + width]
        work.lend(array, flat)
        return flat[self.first :], array

    def measure(self, flat: np.ndarray, images: int) -> tuple[int, int, int]:
        """Return the number of zeros, the smallest and the largest value, without the padding."""
        height, width, channels = self.shape
        return measure(flat[self.first :], images, height, width * channels, self.steps)


@numba.njit(cache=True, nogil=True)
def clear(array, corner, shape):
    """Write zeros around the images, of `shape` (height, width, channels), of an array NHWC."""
    bottom, right = corner[0] + shape[0], corner[1] + shape[1]
    for image in range(array.shape[0]):
        array[image, : corner[0]] = 0
        array[image, bottom:] = 0
        for row in range(corner[0], bottom):
            array[image, row, : corner[1]] = 0
            array[image, row, right:] = 0
