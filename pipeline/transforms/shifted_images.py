"""Few unlabelled images, made more: each of them also moved by one pixel."""

from __future__ import annotations

import numpy as np


class ShiftedImages:
    """Images and their copies moved by one pixel along each axis, either way.

    What stands at the border is repeated. Copies are made when they are asked for.

    Parameters
    ----------
    images : array of shape (n, ..., channels)
        Axes between the first and the last of more than one pixel are moved along.

    Attributes
    ----------
    shape : tuple of int
        ``(n * copies, ..., channels)``; an image is followed by its copies.
    dtype : numpy.dtype
    """

    def __init__(self, images: np.ndarray):
        axes = [axis for axis in range(1, images.ndim - 1) if images.shape[axis] > 1]
        self._moves = [None, *((axis, way) for axis in axes for way in (-1, 1))]
        self._images = images
        self.shape = (len(images) * len(self._moves), *images.shape[1:])
        self.dtype = images.dtype

    @property
    def ndim(self) -> int:
        """Number of axes, as of an array."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice) -> np.ndarray:
        """Return some neighbours as an array."""
        start, stop, _ = key.indices(len(self))
        copies = len(self._moves)
        first = start // copies
        originals = np.asarray(self._images[first : -(-stop // copies)])
        moved = np.stack([self._moved(originals, move) for move in self._moves], 1)
        moved = moved.reshape(-1, *self.shape[1:])
        return moved[start - first * copies : stop - first * copies]

    def _moved(self, images, move):
        if move is None:
            return images
        axis, way = move
        places = np.clip(np.arange(images.shape[axis]) + way, 0, images.shape[axis] - 1)
        return images.take(places, axis)
