"""Refit and round layers of many inputs without their second moments, which would not fit memory.

A dense layer after a Flatten has thousands of inputs and fewer samples: the same least squares
are solved in the space of the samples. Rows stay float32, which halves their memory: what is
computed from them decides between integers, but is none.
"""

from __future__ import annotations

import numpy as np

from pipeline.quantization.refine.rounding import (
    FACTORS,
    largest_integer,
    nearest,
    plain_scales,
)

INPUTS = 2500
"""Inputs above which a layer is wide."""
SWEEPS = 6
WORK = 2e10
"""Multiplications that all sweeps of the descent may take."""


def ridge(x: np.ndarray, strength: float) -> float:
    """Return the ridge of centred rows (rows, inputs): a share of their inputs' mean variance."""
    return strength * float(np.einsum("rk,rk->r", x, x).sum(dtype=np.float64)) / x.size + 1e-12


def refit(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, strength: float) -> np.ndarray:
    """Return the kernel of least squared error that a ridge draws towards `kernel`.

    Parameters
    ----------
    x, y : float32 arrays of shape (rows, inputs) and (rows, filters), centred
    kernel : float64 array of shape (inputs, filters)

    Notes
    -----
    ``W + X' (X X' + n ridge)^-1 (Y - X W)`` equals `Moments.refit` by the push-through identity.
    """
    rows = len(x)
    gram = (x @ x.T).astype(np.float64) + rows * ridge(x, strength) * np.eye(rows)
    wrong = np.linalg.solve(gram, y - _product(x, kernel))
    return kernel + x.T @ wrong.astype(np.float32)


def _product(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return rows times a matrix, float32; a float64 one would copy the rows."""
    return x @ matrix.astype(np.float32)


def rounded(
    x: np.ndarray, wanted: np.ndarray, bits: int, strength: float, sweeps: int = SWEEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Return integers (inputs, filters) and scales (filters,) of little output error.

    Parameters
    ----------
    x : float32 array of shape (rows, inputs), centred
    wanted : float64 array of shape (inputs, filters)
        Kernel to round.
    bits : int
    strength : float
        Of the ridge, which counts an error of a weight as one of the output.
    sweeps : int
        Of coordinate descent, at most; 0 takes the nearest integers at the best scale.
    """
    power = ridge(x, strength)
    plain = plain_scales(wanted[None], bits)[0]
    best = _Best(x, wanted, power, nearest(wanted[None], plain[None], bits)[0], plain)
    for factor in FACTORS[1::2]:
        best.offer(nearest(wanted[None], factor * plain[None], bits)[0], factor * plain)
    work = 4 * x.size * wanted.shape[1]
    for _ in range(int(np.clip(WORK // work, 0, sweeps))):
        before = best.losses.sum()
        best.offer(_sweep(x, wanted, power, best.integers, best.scales, bits), best.scales)
        best.fit_scales()
        if best.losses.sum() >= before * (1 - 1e-6):
            break
    return best.integers, best.scales


class _Best:
    """The integers and scales of least loss so far, filter by filter."""

    def __init__(self, x, wanted, power, integers, scales):
        self.x, self.wanted, self.power = x, wanted, power
        self.integers, self.scales = integers, scales
        self.losses = self.loss(integers, scales)

    def loss(self, integers, scales):
        difference = integers * scales - self.wanted
        outputs = np.square(_product(self.x, difference), dtype=np.float64).mean(axis=0)
        return outputs + self.power * np.square(difference).sum(axis=0)

    def offer(self, integers, scales):
        losses = self.loss(integers, scales)
        better = losses < self.losses
        self.integers = np.where(better, integers, self.integers)
        self.scales = np.where(better, scales, self.scales)
        self.losses = np.where(better, losses, self.losses)

    def fit_scales(self):
        """Take the scale of least loss for the integers."""
        made, wanted = (_product(self.x, matrix) for matrix in (self.integers, self.wanted))
        rows = len(self.x)
        along = (made * wanted).sum(axis=0) / rows
        along += self.power * (self.integers * self.wanted).sum(axis=0)
        length = np.square(made).sum(axis=0) / rows
        length += self.power * np.square(self.integers).sum(axis=0)
        fitted = np.where((along > 0) & (length > 0), along / np.maximum(length, 1e-300), 0)
        self.offer(self.integers, np.where(fitted > 0, fitted, self.scales))


def _sweep(x, wanted, power, integers, scales, bits):
    """Return integers after one sweep of coordinate descent."""
    limit, integers, rows = largest_integer(bits), integers.copy(), len(x)
    largest = np.argmax(np.abs(wanted), axis=0)
    residual = _product(x, wanted - integers * scales)
    columns = np.ascontiguousarray(x.T)
    lengths = np.einsum("kr,kr->k", columns, columns) / rows + power
    for k, column in enumerate(columns):
        pull = column @ residual / rows + power * (wanted[k] - integers[k] * scales)
        q = np.clip(np.rint(integers[k] + pull / (lengths[k] * scales)), -limit, limit)
        q = np.where(largest == k, integers[k], q)
        change = (q - integers[k]) * scales
        if change.any():
            residual -= np.outer(column, change.astype(np.float32))
            integers[k] = q
    return integers
