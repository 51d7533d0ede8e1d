"""Images in a file, read on demand: data sets that need not fit in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np

from simulator.npy import read_npy_header


class StoredImages:
    """The images of a ``.npy`` file, or some of them; indexing reads the selected ones.

    ``images[5]``, ``images[10:20]`` and ``images[[3, 1, 4]]`` are ordinary arrays. The file is
    mapped only while reading, so that the memory is released: a process that iterates over all
    images never holds more than one selection.

    Parameters
    ----------
    path : path-like
        A ``.npy`` file.
    rows : int64 array, optional
        Selected images, in order; all if left out.

    Attributes
    ----------
    path : path
    shape : tuple of int
    dtype : numpy.dtype

    Raises
    ------
    ValueError, OSError
        When the file is no such array.
    """

    def __init__(self, path, rows: np.ndarray | None = None):
        self.path, self._rows = Path(path), rows
        with self.path.open("rb") as file:  # NumPy's own check lets damaged headers through
            read_npy_header(file, self.path.stat().st_size)
        mapped = self._mapped()
        count = len(mapped) if rows is None else len(rows)
        self.shape, self.dtype = (count, *mapped.shape[1:]), mapped.dtype

    @property
    def ndim(self) -> int:
        """Number of axes, as of an array."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key) -> np.ndarray:
        return np.array(self._mapped()[key if self._rows is None else self._rows[key]])

    def chosen(self, rows) -> StoredImages:
        """Return some of the images, without reading them.

        Parameters
        ----------
        rows : slice, or array of int
        """
        known = np.arange(len(self)) if self._rows is None else self._rows
        return StoredImages(self.path, known[rows])

    def _mapped(self) -> np.ndarray:
        mapped = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray) or mapped.ndim == 0:
            raise ValueError(f"{self.path}: not an array of images")
        return mapped


Images: TypeAlias = np.ndarray | StoredImages
"""Images in memory or in a file: both have a shape, a dtype, a length, and can be indexed."""


def choose(images: Images, rows) -> Images:
    """Return some images; those in a file stay there until they are asked for.

    Parameters
    ----------
    images : Images
    rows : slice, or array of int
    """
    return images.chosen(rows) if isinstance(images, StoredImages) else images[rows]
