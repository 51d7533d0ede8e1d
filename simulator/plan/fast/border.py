"""Where a step puts its output: inside the border that the next layer's windows reach into."""

from __future__ import annotations

import numba
import numpy as np

from simulator.plan.fast.measuring import measure
from simulator.plan.workspace import Workspace

NO_PADS = ((0, 0), (0, 0))


class Border:
    """The surroundings of an output (height, width, channels) in memory.

    Parameters
    ----------
    shape : (height, width, channels)
    pads : ((top, bottom), (left, right))
        Zeros around each image.
    slack : int
        Values behind the last image that may be read, whatever they hold.
    """

    def __init__(self, shape, pads=NO_PADS, slack: int = 0):
        self.shape, self.slack = tuple(shape), slack
        (top, bottom), (left, right) = pads
        height, width, channels = shape
        self.whole = (height + top + bottom, width + left + right, channels)
        row = self.whole[1] * channels
        self.steps = (self.whole[0] * row, row, channels)
        self.corner = (top, left)
        self.first = top * row + left * channels

    def take(self, work: Workspace, images: int) -> tuple[np.ndarray, np.ndarray]:
        """Return memory of images with zeros around: from the first value on, and (n, h, w, c).

        Both are int16; the second one is to be given back to `work`.
        """
        size = images * self.steps[0]
        flat = work.take((size + self.slack,), np.int16)
        array = flat[:size].reshape(images, *self.whole)
        if self.whole != self.shape:
            clear(array, self.corner, self.shape)
            (top, left), (height, width, _) = self.corner, self.shape
            array = array[:, top : top + height, left : left + width]
        work.lend(array, flat)
        return flat[self.first :], array

    def measure(self, flat: np.ndarray, images: int) -> tuple[int, int, int]:
        """Return how many values inside the borders are 0, the smallest and the largest."""
        height, width, channels = self.shape
        return measure(flat[self.first :], images, height, width * channels, self.steps)


@numba.njit(cache=True, nogil=True)
def clear(array, corner, shape):
    """Write zeros around the images (height, width, channels) of an array (n, h, w, c)."""
    bottom, right = corner[0] + shape[0], corner[1] + shape[1]
    for image in range(array.shape[0]):
        array[image, : corner[0]] = 0
        array[image, bottom:] = 0
        for row in range(corner[0], bottom):
            array[image, row, : corner[1]] = 0
            array[image, row, right:] = 0
