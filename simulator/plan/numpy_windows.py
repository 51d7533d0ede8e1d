"""Windows of a convolution as rows of matrices that BLAS multiplies."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from simulator.plan.window import Window
from simulator.plan.workspace import Workspace
from simulator.product import multiply

FEWEST_CHANNELS = 8
"""Channels below which the pieces that `StackedWindows` copies are too short."""


def windows_of(window: Window):
    """Return the windows of a convolution, `PlainWindows` or `StackedWindows`."""
    kh, kw, channels, _ = window.linear.weights.shape
    stacked = (kh, kw) != (1, 1) and channels >= FEWEST_CHANNELS
    return StackedWindows(window) if stacked else PlainWindows(window)


class PlainWindows:
    """One matrix with a copy of each window; of kernels of one pixel, the inputs themselves.

    Attributes
    ----------
    width : int
        Number of sums in a row.
    row_values : int
        Values of the matrix for a row of sums.
    matrix : int64 (values of a window, filters)
        Weights in the order of a window's values.
    """

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
    is one piece of memory of kw pixels. Windows that are a whole window or more apart are the rows
    of one matrix; there are as many matrices as windows overlap, `phases`. All rows of sums are in
    the same matrices, so that the last windows of a row reach into the next row: these `surplus`
    sums have no meaning.

    Attributes
    ----------
    width : int
        Number of sums in a row, including those without meaning at its end.
    row_values, matrix : as in `PlainWindows`
    """

    def __init__(self, window: Window):
        linear, (kh, kw, channels, filters) = window.linear, window.linear.weights.shape
        self.kernel, self.strides, self.channels = (kh, kw), linear.strides, channels
        stride = linear.strides[1]
        self.phases = -(-kw // stride)
        self.pixels = (window.sums_shape[1] - 1) * stride + kw
        self.width = -(-self.pixels // (self.phases * stride)) * self.phases
        self.matrix = linear.weights.transpose(1, 0, 2, 3).reshape(-1, filters)
        self.row_values = self.width * stride * kh * channels

    def sums(self, padded: np.ndarray, rows: slice, weights: np.ndarray, work: Workspace):
        """Return the sums of some output rows; see `PlainWindows.sums`."""
        images, count = len(padded), rows.stop - rows.start
        stack = self._stacked(padded, rows, work)
        pixel, item = self.kernel[0] * self.channels, stack.itemsize
        (depth, filters), stride = weights.shape, self.strides[1]
        sums = work.scratch("sums", (images, count, self.width, filters), padded.dtype)
        phased = sums.reshape(-1, self.phases, filters)
        shape, steps = (len(phased), depth), (self.phases * stride * pixel * item, item)
        for phase in range(self.phases):
            offset = phase * stride * pixel * item
            columns = np.ndarray(shape, stack.dtype, stack, offset, steps)
            multiply(columns, weights, phased[:, phase])
        return sums

    def _stacked(self, padded: np.ndarray, rows: slice, work: Workspace) -> np.ndarray:
        """Return the stacked rows of the input, and zeros to the end of the last window."""
        (kh, kw), (vertical, stride) = self.kernel, self.strides
        shape = (len(padded), rows.stop - rows.start, self.width * stride, kh, self.channels)
        size, beyond = int(np.prod(shape)), max(0, kw - stride) * kh * self.channels
        flat = work.scratch("columns", (size + beyond,), padded.dtype)
        stack = flat[:size].reshape(shape)
        for row in range(kh):
            first = rows.start * vertical + row
            last = (rows.stop - 1) * vertical + row + 1
            lines = padded[:, first:last:vertical, : self.pixels]
            np.copyto(stack[:, :, : self.pixels, row], lines)
        stack[:, :, self.pixels :] = 0
        flat[size:] = 0
        return flat
