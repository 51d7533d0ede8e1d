"""Augment a few unlabelled images with copies shifted by one pixel."""

from __future__ import annotations

import numpy as np


class ShiftedImages:
    """Images with copies shifted by one pixel along each axis, in both directions.

    Border pixels are repeated. Copies are made on access.

    Parameters
    ----------
    images : array of shape (n, ..., channels)
        Copies are shifted along the axes between the first and the last that are longer than 1.

    Attributes
    ----------
    shape : tuple of int
        ``(n * copies, ..., channels)``; an image is followed by its copies.
    dtype : numpy.dtype
    """

    def __init__(self, images: np.ndarray):
        axes = [axis for axis in range(1, images.ndim - 1) if images.shape[axis] > 1]
        self._moves = [None, *((axis, way) for axis in axes for way in (-1, 1))]
        self._images, self._copies = images, len(self._moves)
        self.shape = (len(images) * self._copies, *images.shape[1:])
        self.dtype = images.dtype

    @property
    def ndim(self) -> int:
        """Number of axes, as in an array."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key) -> np.ndarray:
        """Return some images as an array: ``images[10:20]`` or ``images[[3, 1, 4]]``."""
        places = np.arange(len(self))[key]
        found = np.array(self._images[places // self._copies])
        for number, move in enumerate(self._moves):
            if move is not None:
                chosen = places % self._copies == number
                found[chosen] = self._moved(found[chosen], *move)
        return found

    @staticmethod
    def _moved(images, axis, way):
        places = np.clip(np.arange(images.shape[axis]) + way, 0, images.shape[axis] - 1)
        return images.take(places, axis)
