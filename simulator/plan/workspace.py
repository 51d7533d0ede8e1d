"""Reused memory of a plan: outputs, released after their last use, and named scratch arrays."""

from __future__ import annotations

import math

import numpy as np

LINE = 64
"""Bytes of a cache line; a vector that crosses two lines is read twice."""


def aligned(size: int, dtype) -> np.ndarray:
    """Return an uninitialized array (size,), aligned to a cache line."""
    nbytes = size * np.dtype(dtype).itemsize
    raw = np.empty(nbytes + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + nbytes].view(dtype)


class Workspace:
    """Pool of buffers, so that only the first batch allocates memory.

    Parameters
    ----------
    fixed : bool
        Keep every buffer: rows of a tape use their addresses after they are released. Otherwise a
        larger buffer may replace a free one.

    Attributes
    ----------
    tapes : dict
        Recordings of the ``fast`` backend, by number of images.
    """

    def __init__(self, *, fixed: bool = False):
        self._fixed = fixed
        self.tapes: dict = {}
        self._free: list[np.ndarray] = []
        self._scratch: dict[tuple[str, np.dtype], np.ndarray] = {}
        # Arrays are kept with their buffers, since an id is unique only while its object lives.
        self._taken: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._padded: dict[int, np.ndarray] = {}

    def take(self, shape, dtype=np.float32) -> np.ndarray:
        """Return an uninitialized array of `shape`; `release` returns it to the pool."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        fitting = [buffer for buffer in self._free if buffer.size >= size]
        if fitting:
            buffer = min(fitting, key=lambda found: found.size)
            self._free = [found for found in self._free if found is not buffer]
        else:
            # Replace the largest free buffer instead of keeping both.
            if self._free and not self._fixed:
                largest = max(self._free, key=lambda found: found.size)
                self._free = [found for found in self._free if found is not largest]
            buffer = aligned(size, np.uint8)
        array = buffer[:size].view(dtype).reshape(shape)
        self._taken[id(array)] = (array, buffer)
        return array

    def take_inside(self, shape, pads) -> np.ndarray:
        """Return an array (n, h, w, c) with zeros around its images; see `around`."""
        if not any(map(any, pads)):
            return self.take(shape)
        n, height, width, channels = shape
        (top, bottom), (left, right) = pads
        whole = self.take((n, height + top + bottom, width + left + right, channels))
        whole[:, :top] = 0
        whole[:, top + height :] = 0
        whole[:, :, :left] = 0
        whole[:, :, left + width :] = 0
        inside = whole[:, top : top + height, left : left + width]
        self._taken[id(inside)] = (inside, self._taken.pop(id(whole))[1])
        self._padded[id(inside)] = whole
        return inside

    def around(self, array: np.ndarray) -> np.ndarray | None:
        """Return an array of `take_inside` with its zeros; None if it is another array."""
        return self._padded.get(id(array))

    def release(self, array: np.ndarray) -> None:
        """Return an array to the pool; arrays of other origin are ignored."""
        self._padded.pop(id(array), None)
        taken = self._taken.pop(id(array), None)
        if taken is not None:
            self._free.append(taken[1])

    def scratch(self, name: str, shape, dtype=np.float32) -> np.ndarray:
        """Return the uninitialized array called `name`, valid until its next request."""
        size, key = math.prod(shape), (name, np.dtype(dtype))
        found = self._scratch.get(key)
        if found is None or found.size < size:
            found = self._scratch[key] = aligned(size, dtype)
        return found[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes currently held."""
        taken = (buffer for _, buffer in self._taken.values())
        held = [*self._free, *self._scratch.values(), *taken]
        return sum(buffer.nbytes for buffer in held)
