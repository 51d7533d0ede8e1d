"""Refine the kernel and bias of one layer: fit, round, and choose on held-out images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.graph.node import Node
from pipeline.quantization.fixed_point import SMALLEST_SCALE, quantize_weights, weight_scales
from pipeline.quantization.refine import rounding, wide
from pipeline.quantization.refine.moments import moments
from pipeline.quantization.refine.rows import kernel_matrix, node_kernel

REFITS = (0.01, 0.1, 1.0, 10.0)
"""Ridges of the refits that are tried, as shares of the inputs' mean variance."""
KEPT = (0.01, 1.0)
"""Ridges under which the kernel itself is rounded: no refit."""


ROWS, FEW_ROWS = 8000, 2000
"""Rows drawn for a layer, and for one that is depthwise or wide."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a layer's inputs and targets, with the bounds of the activation after it.

    Attributes
    ----------
    x : float array of shape (groups, rows, inputs)
    y : float array of shape (groups, rows, filters)
    low, high : float
        Outside these bounds an error of the sum changes nothing.
    """

    x: np.ndarray
    y: np.ndarray
    low: float = -np.inf
    high: float = np.inf

    def error(self, matrix: np.ndarray, bias: np.ndarray) -> float:
        """Return the mean squared error of the activation, summed over filters."""
        found = self.x @ matrix.astype(np.float32) + bias[:, None].astype(np.float32)
        wrong = np.clip(found, self.low, self.high) - np.clip(self.y, self.low, self.high)
        return float(np.square(wrong, dtype=np.float64).sum()) / self.x.shape[1]


def rows_wanted(node: Node, *, held: bool) -> int:
    """Return how many rows a layer is fitted on, or judged by."""
    few = node.operation.depthwise or kernel_matrix(node).shape[1] > wide.INPUTS
    wanted = FEW_ROWS if few else ROWS
    return wanted // 4 if held else wanted


@dataclass(frozen=True, eq=False)
class Choice:
    """A layer's kernel and bias, and how they do on held-out images.

    Attributes
    ----------
    node : Node
        The scheme's rule finds the integers of its kernel again: each filter holds the largest.
    error : float
        On the held-out rows.
    """

    node: Node
    error: float


def refine_layer(node: Node, bits: int, fit: Rows, held: Rows) -> Choice:
    """Return the best kernel and bias by the held-out rows; today's rule unless one is better.

    Parameters
    ----------
    node : Node
        Covered by `pipeline.quantization.refine.rows`.
    bits : int
        Width of a weight, sign included.
    fit, held : Rows
        Rows to fit on and rows to choose by, of different images.
    """
    plain = _plain(node, bits)
    best = Choice(node, plain_error(node, bits, held))
    mean_x, mean_y = (array.mean(axis=1, dtype=np.float64) for array in (fit.x, fit.y))

    def shifted(matrix):
        return mean_y - np.einsum("gk,gkf->gf", mean_x, matrix)

    def judge(matrix):
        return held.error(matrix, shifted(matrix))

    for matrix in (None, *_candidates(node, bits, fit, judge)):
        values = plain if matrix is None else matrix
        error = judge(values)
        if error < best.error:
            best = Choice(_changed(node, matrix, shifted(values)), error)
    return best


def plain_error(node: Node, bits: int, held: Rows) -> float:
    """Return the error of a layer that is quantized by today's rule."""
    plain = _plain(node, bits)
    bias = node.weights.get("bias", np.zeros(plain.shape[0] * plain.shape[2], np.float32))
    return held.error(plain, bias.reshape(plain.shape[0], -1))


def _plain(node, bits) -> np.ndarray:
    """Return the kernel's values at today's rule, as a matrix."""
    kernel = node.weights[node.operation.output_kernel]
    axis = -2 if node.op == "DepthwiseConv2D" else -1
    scales = weight_scales(kernel, bits, axis)
    scales = scales[:, None] if axis == -2 else scales
    return kernel_matrix(node, quantize_weights(kernel, bits, scales) * scales)


def _candidates(node, bits, fit: Rows, judge) -> Iterator[np.ndarray]:
    """Yield kernels on their grids."""
    kernel = kernel_matrix(node).astype(np.float64)
    make = _wide if kernel.shape[1] > wide.INPUTS else _narrow
    for integers, scales in make(kernel, bits, fit, judge):
        scales = np.maximum(scales, SMALLEST_SCALE).astype(np.float32)
        yield integers.astype(np.float32) * scales[:, None]


def _narrow(kernel, bits, fit, judge):
    found = moments(fit.x, fit.y)
    for strength in KEPT:
        yield rounding.rounded(kernel, found.ridged(strength), bits)
    for strength in REFITS:
        wanted = found.refit(kernel, strength)
        yield rounding.rounded(wanted, found.ridged(strength), bits)


def _wide(kernel, bits, fit, judge):
    """Yield the roughly rounded kernel that does best, and the same one rounded with care."""
    x, y = (
        array[0] - array[0].mean(axis=0, dtype=np.float64).astype(np.float32)
        for array in (fit.x, fit.y)
    )
    kept = [(kernel[0], strength) for strength in KEPT[:1]]
    refits = [(wide.refit(x, y, kernel[0], strength), strength) for strength in REFITS[1:]]

    def rough(candidate):
        integers, scales = wide.rounded(x, candidate[0], bits, candidate[1], sweeps=0)
        return judge((integers * scales)[None])

    wanted, strength = min((*kept, *refits), key=rough)
    for sweeps in (0, wide.SWEEPS):
        integers, scales = wide.rounded(x, wanted, bits, strength, sweeps)
        yield integers[None], scales[None]


def _changed(node, matrix, shift) -> Node:
    """Return the node with another bias and, unless `matrix` is None, another kernel."""
    bias = shift.reshape(-1).astype(np.float32)
    changed = node.with_weights(bias=bias).with_attrs(use_bias=True)
    if matrix is None:
        return changed
    kernel = np.ascontiguousarray(node_kernel(node, matrix), np.float32)
    return changed.with_weights(**{node.operation.output_kernel: kernel})
