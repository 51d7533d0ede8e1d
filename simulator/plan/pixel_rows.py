"""Products of windows that overlap, without a copy of each."""

from __future__ import annotations

import numpy as np

from simulator.plan.workspace import Workspace
from simulator.product import multiply


class PixelRows:
    """Rows of pixels, one after another in memory, whose windows are rows of matrices.

    A window is one piece of memory. Windows that are a whole window or more apart are the rows of
    one matrix; there are as many matrices as windows overlap, `phases`. All rows of pixels are in
    the same matrices, so that the last windows of a row reach into the next row: these `surplus`
    sums have no meaning.

    Parameters
    ----------
    window : int
        Pixels of a window.
    stride : int
        Pixels between the starts of windows.
    sums : int
        Number of windows of a row.
    values : int
        Values of a pixel.

    Attributes
    ----------
    pixels : int
        Pixels of a row that have to be written.
    width : int
        Number of sums in a row, including those without meaning at its end.
    row_values : int
        Values of a row.
    """

    def __init__(self, window: int, stride: int, sums: int, values: int):
        self.stride, self.values, self.phases = stride, values, -(-window // stride)
        self.pixels = (sums - 1) * stride + window
        self.width = -(-self.pixels // (self.phases * stride)) * self.phases
        self.row_values = self.width * stride * values
        self._beyond = max(0, window - stride) * values

    def take(self, shape, dtype, work: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Return scratch memory for rows, and the rows in it, (*shape, pixels, values).

        The first `pixels` of each row are unset; the others are zero, as is what the last window
        reads after the last row.
        """
        shape = (*shape, self.width * self.stride, self.values)
        size = int(np.prod(shape))
        flat = work.scratch("columns", (size + self._beyond,), dtype)
        flat[size:] = 0
        rows = flat[:size].reshape(shape)
        rows[..., self.pixels :, :] = 0
        return flat, rows

    def multiply(self, memory: np.ndarray, weights: np.ndarray, sums: np.ndarray) -> None:
        """Write the products of the windows and weights to `sums`.

        Parameters
        ----------
        memory : float array
            From `take`, with rows.
        weights : float array (values of a window, filters)
        sums : float array (..., width, filters)
            Contiguous.
        """
        (depth, filters), item = weights.shape, memory.itemsize
        phased = sums.reshape(-1, self.phases, filters)
        shape, steps = (len(phased), depth), (self.phases * self.stride * self.values * item, item)
        for phase in range(self.phases):
            offset = phase * self.stride * self.values * item
            columns = np.ndarray(shape, memory.dtype, memory, offset, steps)
            multiply(columns, weights, phased[:, phase])
