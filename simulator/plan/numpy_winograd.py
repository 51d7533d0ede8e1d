"""Convolutions with kernels of three rows in 4 products for 2 rows: Winograd's F(2, 3).

For input rows d0 to d3 and kernel rows g0 to g2, whose products are sums over a window's columns
and channels, two rows of sums are (Lavin and Gray 2016, "Fast algorithms for convolutional neural
networks", section 4.1)::

    y0 = m0 + m1 + m2        m0 = (d0 - d2) g0    m1 = (d1 + d2) (g0 + g1 + g2) / 2
    y1 = m1 - m2 + m3        m3 = (d3 - d1) g2    m2 = (d2 - d1) (g0 - g1 + g2) / 2

The definition takes 6 products. Everything is a multiple of 1/2, so that floats hold all partial
sums exactly if those of y0 and y1 stay below half the first integer that the dtype lacks.
"""

from __future__ import annotations

import numpy as np

from simulator.plan.pixel_rows import PixelRows
from simulator.plan.proofs import LIMITS
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace

FEWEST = 16
"""Channels and filters from which the products saved are more than the sums that replace them."""


class WinogradWindows:
    """Windows with four products for two rows of sums; see the module.

    Attributes
    ----------
    method, width, row_values : as in `PlainWindows`
    matrix : float64 (4, values of a window, filters)
        Weights of the products, multiples of 1/2.
    """

    method = " winograd"

    def __init__(self, window: Window):
        linear, (_, kw, channels, filters) = window.linear, window.linear.weights.shape
        self.pixels = PixelRows(kw, linear.strides[1], window.sums_shape[1], channels)
        self.width = self.pixels.width
        # Half a row of inputs, two halves of products, and a row of sums.
        self.row_values = self.pixels.row_values // 2 + 2 * self.width * filters
        self.matrix = transformed(linear.weights).reshape(4, -1, filters)

    def sums(self, padded: np.ndarray, rows: slice, weights: np.ndarray, work: Workspace):
        """Return the sums of some output rows; see `PlainWindows.sums`."""
        lines = [padded[:, rows.start + line : rows.stop + line : 2] for line in range(3)]
        # The last row of an odd number has no y1, so that a single row has no m3.
        lines.append(padded[:, rows.start + 3 : rows.stop + 2 : 2])
        shape = (len(padded), rows.stop - rows.start, self.width, weights.shape[2])
        sums = work.scratch("sums", shape, padded.dtype)
        even, odd = sums[:, 0::2], sums[:, 1::2]
        m1 = self._product(lines[1], np.add, lines[2], weights[1], "m1", work)
        m2 = self._product(lines[2], np.subtract, lines[1], weights[2], "m2", work)
        np.add(m1, m2, out=even)
        np.subtract(m1[:, : odd.shape[1]], m2[:, : odd.shape[1]], out=odd)
        # The memory of m1 is free now.
        m0 = self._product(lines[0], np.subtract, lines[2], weights[0], "m1", work)
        np.add(even, m0, out=even)
        if odd.shape[1]:
            m3 = self._product(lines[3], np.subtract, lines[1], weights[3], "m1", work)
            np.add(odd, m3, out=odd)
        return sums

    def _product(self, first, operation, second, weights, name: str, work: Workspace):
        """Return the product of weights and the sum or difference of input rows."""
        pairs, pixels = first.shape[1], self.pixels.pixels
        memory, inputs = self.pixels.take((len(first), pairs), first.dtype, work)
        second = second[:, :pairs, :pixels]
        operation(first[:, :, :pixels], second, out=inputs[:, :, :pixels])
        shape = (len(first), pairs, self.width, weights.shape[1])
        product = work.scratch(name, shape, first.dtype)
        self.pixels.multiply(memory, weights, product)
        return product


def transformed(weights: np.ndarray) -> np.ndarray:
    """Return the weights of the four products, float64 (4, kw, channels, filters)."""
    first, middle, last = weights.astype(np.float64)
    outer = (first + last) / 2
    return np.stack([first, outer + middle / 2, outer - middle / 2, last])


def suits(window: Window, input_range: tuple[int, int], dtype: np.dtype) -> bool:
    """Return True if Winograd's products are exact for a convolution, and faster."""
    kh, _, channels, filters = window.linear.weights.shape
    if kh != 3 or window.linear.strides[0] != 1 or min(channels, filters) < FEWEST:
        return False
    return 2 * largest_sum(window.linear.weights, *input_range) < LIMITS[dtype]


def largest_sum(weights: np.ndarray, low: int, high: int) -> float:
    """Return the largest magnitude of a partial sum of y0 and y1, for inputs from low to high."""
    sums = np.abs(transformed(weights)).sum(axis=(1, 2))
    difference, total = high - low, 2 * max(abs(low), abs(high))
    reached = sums * np.reshape([difference, total, difference, difference], (4, 1))
    return float(max(reached[:3].sum(axis=0).max(), reached[1:].sum(axis=0).max()))
