"""Memory that a plan reuses: outputs by liveness, scratch by name."""

from __future__ import annotations

import math

import numpy as np

LINE = 64
"""Bytes of a cache line; vectors that cross one are read twice."""


def aligned(size: int, dtype) -> np.ndarray:
    """Return an array (size,), its content undefined, that begins with a cache line."""
    nbytes = size * np.dtype(dtype).itemsize
    raw = np.empty(nbytes + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + nbytes].view(dtype)


class Workspace:
    """Buffers that are handed out and taken back, so that no batch allocates anew."""

    def __init__(self):
        self._free: list[np.ndarray] = []
        self._scratch: dict[tuple[str, np.dtype], np.ndarray] = {}
        # The arrays are kept with their buffers: an identity is theirs while they live.
        self._taken: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._whole: dict[int, np.ndarray] = {}

    def take(self, shape, dtype=np.float32) -> np.ndarray:
        """Return an array of `shape`, its content undefined, until it is given back."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        fitting = [buffer for buffer in self._free if buffer.size >= size]
        if fitting:
            buffer = min(fitting, key=lambda found: found.size)
            self._free = [found for found in self._free if found is not buffer]
        else:
            # Grow the largest free one instead of keeping both.
            if self._free:
                largest = max(self._free, key=lambda found: found.size)
                self._free = [found for found in self._free if found is not largest]
            buffer = aligned(size, np.uint8)
        array = buffer[:size].view(dtype).reshape(shape)
        self._taken[id(array)] = (array, buffer)
        return array

    def lend(self, part: np.ndarray, whole: np.ndarray) -> None:
        """Let a view of `whole`, which was taken here, be given back in its place."""
        _, buffer = self._taken.pop(id(whole))
        self._taken[id(part)] = (part, buffer)
        self._whole[id(part)] = whole

    def whole(self, part: np.ndarray) -> np.ndarray | None:
        """Return the array that `part` was lent from, if it was."""
        return self._whole.get(id(part))

    def give(self, array: np.ndarray) -> None:
        """Take back an array; one that was not handed out here is ignored."""
        taken = self._taken.pop(id(array), None)
        self._whole.pop(id(array), None)
        if taken is not None:
            self._free.append(taken[1])

    def scratch(self, name: str, shape, dtype=np.float32) -> np.ndarray:
        """Return the array called `name`, its content undefined; valid until the next call."""
        size, key = math.prod(shape), (name, np.dtype(dtype))
        found = self._scratch.get(key)
        if found is None or found.size < size:
            found = self._scratch[key] = aligned(size, dtype)
        return found[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes held at this moment."""
        taken = (buffer for _, buffer in self._taken.values())
        held = [*self._free, *self._scratch.values(), *taken]
        return sum(buffer.nbytes for buffer in held)
