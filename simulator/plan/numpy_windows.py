"""Windows of a convolution as rows of matrices that BLAS multiplies."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from simulator.plan.numpy_winograd import WinogradWindows, suits
from simulator.plan.pixel_rows import PixelRows
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace
from simulator.product import multiply

FEWEST_CHANNELS = 8
"""Channels below which the pieces that `StackedWindows` copies are too short."""


def windows_of(window: Window, input_range: tuple[int, int], dtype: np.dtype):
    """Return the fastest windows of a convolution that are exact for inputs of a range."""
    kh, kw, channels, _ = window.linear.weights.shape
    if suits(window, input_range, dtype):
        return WinogradWindows(window)
    stacked = (kh, kw) != (1, 1) and channels >= FEWEST_CHANNELS
    return StackedWindows(window) if stacked else PlainWindows(window)


class PlainWindows:
    """One matrix with a copy of each window; of kernels of one pixel, the inputs themselves.

    Attributes
    ----------
    method : str
        Method of the products, for users; empty for the definition's.
    width : int
        Number of sums in a row.
    row_values : int
        Values of the matrix for a row of sums.
    matrix : int64 (values of a window, filters)
        Weights in the order of a window's values.
    """

    method = ""

    def __init__(self, window: Window):
        weights, self.strides = window.linear.weights, window.linear.strides
        self.kernel, self.width = weights.shape[:2], window.sums_shape[1]
        self.matrix = weights.reshape(-1, weights.shape[3])
        self.row_values = self.width * len(self.matrix)

    def sums(self, padded: np.ndarray, rows: slice, weights: np.ndarray, work: Workspace):
        """Return the sums of some output rows, (n, rows, `width`, filters) in scratch memory.

        Parameters
        ----------
        padded : float array (n, h, w, c)
        weights : array like `matrix`, of the same dtype
        """
        shape = (len(padded), rows.stop - rows.start, self.width)
        count, (depth, filters) = int(np.prod(shape)), weights.shape
        if (*self.kernel, *self.strides) == (1, 1, 1, 1):
            columns = padded[:, rows].reshape(count, depth)
        else:
            columns = work.scratch("columns", (count, depth), padded.dtype)
            view = self._view(padded, rows, shape)
            np.copyto(columns.reshape(view.shape), view)
        sums = work.scratch("sums", (count, filters), padded.dtype)
        multiply(columns, weights, sums)
        return sums.reshape(*shape, filters)

    def _view(self, padded: np.ndarray, rows: slice, shape) -> np.ndarray:
        """Return a view (n, rows, width, kh, kw, c) of the windows of some output rows."""
        sn, sh, sw, sc = padded.strides
        strides = self.strides
        start = padded[:, rows.start * strides[0] :]
        steps = (sn, sh * strides[0], sw * strides[1], sh, sw, sc)
        return as_strided(start, (*shape, *self.kernel, padded.shape[3]), steps, writeable=False)


class StackedWindows:
    """Overlapping windows: each input is copied once for each row of the kernel, not each value.

    For a row of sums, the kernel's rows of the input are stacked pixel by pixel, so that a window
    is one piece of memory of kw pixels; see `PixelRows`, also for the surplus sums of a row.

    Attributes
    ----------
    method, width, row_values, matrix : as in `PlainWindows`
    """

    method = ""

    def __init__(self, window: Window):
        linear, (kh, kw, channels, filters) = window.linear, window.linear.weights.shape
        self.rows_of_kernel, self.strides, self.channels = kh, linear.strides, channels
        self.pixels = PixelRows(kw, linear.strides[1], window.sums_shape[1], kh * channels)
        self.width, self.row_values = self.pixels.width, self.pixels.row_values
        self.matrix = linear.weights.transpose(1, 0, 2, 3).reshape(-1, filters)

    def sums(self, padded: np.ndarray, rows: slice, weights: np.ndarray, work: Workspace):
        """Return the sums of some output rows; see `PlainWindows.sums`."""
        shape = (len(padded), rows.stop - rows.start)
        memory, stack = self.pixels.take(shape, padded.dtype, work)
        self._stack(padded, rows, stack.reshape(*stack.shape[:3], -1, self.channels))
        sums = work.scratch("sums", (*shape, self.width, weights.shape[1]), padded.dtype)
        self.pixels.multiply(memory, weights, sums)
        return sums

    def _stack(self, padded: np.ndarray, rows: slice, stack: np.ndarray) -> None:
        """Write rows of the input to (n, rows, pixels, rows of the kernel, channels)."""
        vertical, pixels = self.strides[0], self.pixels.pixels
        for row in range(self.rows_of_kernel):
            first = rows.start * vertical + row
            last = (rows.stop - 1) * vertical + row + 1
            np.copyto(stack[:, :, :pixels, row], padded[:, first:last:vertical, :pixels])
