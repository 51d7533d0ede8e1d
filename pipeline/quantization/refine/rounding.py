"""Round a kernel so that the layer's outputs, not its weights, move least.

Second-order rounding (published as OBQ and GPTQ): weights are rounded one by one, and what one
loses is made up by those still to come, according to the second moments of the inputs. The scale
of each filter is searched, and coordinate descent moves single weights by one step.

The largest weight of a filter always becomes the largest integer, so that the rule of the vendor's
tools, which takes each scale from the largest weight, finds the same integers again.
"""

from __future__ import annotations

import numpy as np

FACTORS = np.linspace(1.0, 0.4, 13)
"""Largest integer over largest weight, tried for each filter."""
BLOCK = 64
"""Weights rounded before the others are brought up to date by one product."""
SWEEPS, ROUNDS = 20, 4
DESCENT_BITS, DESCENT = 2, 5e8
"""Width up to which descent gains anything, and multiplications that one sweep may take."""


def largest_integer(bits: int) -> int:
    """Return the largest magnitude of a symmetric weight."""
    return 2 ** (bits - 1) - 1


def peaks(kernel: np.ndarray) -> np.ndarray:
    """Return where each filter of a kernel (groups, inputs, filters) has its largest weight."""
    return np.argmax(np.abs(kernel), axis=1)


def nearest(kernel: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """Return the nearest integers of a kernel (groups, inputs, filters), halves to even."""
    limit = largest_integer(bits)
    return np.clip(np.rint(kernel / scales[:, None]), -limit, limit)


def loss(difference: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return the squared output error of each filter, of shape (groups, filters)."""
    return np.einsum("gkf,gkf->gf", difference, inputs @ difference)


def plain_scales(kernel: np.ndarray, bits: int) -> np.ndarray:
    """Return scales that bring the largest weight to the largest integer: (groups, filters)."""
    return np.maximum(np.abs(kernel).max(axis=1) / largest_integer(bits), 1e-12)


def rounded(kernel: np.ndarray, inputs: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return integers and scales of little output error.

    Parameters
    ----------
    kernel : float64 array of shape (groups, inputs, filters)
    inputs : float64 array of shape (groups, inputs, inputs)
        Positive definite second moments.
    bits : int
        Width of a weight, sign included.

    Returns
    -------
    integers : float64 array of shape (groups, inputs, filters)
        The largest integer is at each filter's largest weight.
    scales : float64 array of shape (groups, filters)
        No filter's `loss` is above that of the nearest integers at `plain_scales`.
    """
    plain = plain_scales(kernel, bits)
    best = _Best(kernel, inputs, nearest(kernel, plain, bits), plain)
    factor = _factors(kernel, inputs, plain, bits)
    second_order = _SecondOrder(inputs)
    for scales in (plain * factor, plain * np.minimum(factor * 1.15, 1)):
        best.offer(second_order(kernel, scales, bits), scales)
    best.fit_scales()
    if bits <= DESCENT_BITS and kernel.size * kernel.shape[1] <= DESCENT:
        for _ in range(ROUNDS):
            before = best.losses.sum()
            best.offer(descend(kernel, inputs, best.integers, best.scales, bits), best.scales)
            best.fit_scales()
            if best.losses.sum() >= before * (1 - 1e-6):
                break
    return best.integers, best.scales


class _Best:
    """The integers and scales of least loss so far, filter by filter."""

    def __init__(self, kernel, inputs, integers, scales):
        self.kernel, self.inputs = kernel, inputs
        self.integers, self.scales = integers, scales
        self.losses = loss(integers * scales[:, None] - kernel, inputs)

    def offer(self, integers, scales):
        losses = loss(integers * scales[:, None] - self.kernel, self.inputs)
        better = losses < self.losses
        self.integers = np.where(better[:, None], integers, self.integers)
        self.scales = np.where(better, scales, self.scales)
        self.losses = np.where(better, losses, self.losses)

    def fit_scales(self):
        """Take the scale of least loss for the integers."""
        weighted = self.inputs @ self.integers
        along = np.einsum("gkf,gkf->gf", weighted, self.kernel)
        length = np.einsum("gkf,gkf->gf", weighted, self.integers)
        fitted = np.where((along > 0) & (length > 0), along / np.maximum(length, 1e-300), 0)
        self.offer(self.integers, np.where(fitted > 0, fitted, self.scales))


def _factors(kernel, inputs, plain, bits):
    """Return the clip factor of each filter for which nearest integers lose least, uncorrelated."""
    weight = np.diagonal(inputs, axis1=1, axis2=2)[:, :, None]
    losses = []
    for factor in FACTORS:
        difference = nearest(kernel, plain * factor, bits) * (plain * factor)[:, None] - kernel
        losses.append((weight * difference**2).sum(axis=1))
    return FACTORS[np.argmin(losses, axis=0)]


class _SecondOrder:
    """Rounding one by one, the inputs of largest power first."""

    def __init__(self, inputs):
        self.order = np.argsort(-np.diagonal(inputs, axis1=1, axis2=2), axis=1, kind="stable")
        groups = np.arange(len(inputs))[:, None]
        ordered = inputs[groups[:, :, None], self.order[:, :, None], self.order[:, None, :]]
        # Of the inverse's Cholesky factor, row k holds how the inputs after k make up for k.
        lower = np.linalg.cholesky(np.linalg.inv(ordered))
        self.upper = lower.transpose(0, 2, 1)
        self.groups = groups

    def __call__(self, kernel, scales, bits):
        limit, upper = largest_integer(bits), self.upper
        rest = kernel[self.groups, self.order]
        top = self.order[:, :, None] == peaks(kernel)[:, None]
        largest = np.where(top, limit * np.sign(rest), 0)
        integers = np.empty_like(rest)
        count = rest.shape[1]
        for start in range(0, count, BLOCK):
            end = min(start + BLOCK, count)
            errors = np.empty((len(rest), end - start, rest.shape[2]))
            for k in range(start, end):
                q = np.clip(np.rint(rest[:, k] / scales), -limit, limit)
                q = np.where(top[:, k], largest[:, k], q)
                integers[:, k] = q
                error = (rest[:, k] - q * scales) / upper[:, k, k, None]
                rest[:, k + 1 : end] -= upper[:, k, k + 1 : end, None] * error[:, None]
                errors[:, k - start] = error
            rest[:, end:] -= upper[:, start:end, end:].transpose(0, 2, 1) @ errors
        result = np.empty_like(integers)
        result[self.groups, self.order] = integers
        return result


def descend(kernel, inputs, integers, scales, bits) -> np.ndarray:
    """Return integers after coordinate descent: each but the largest moves to the least loss."""
    limit, integers, largest = largest_integer(bits), integers.copy(), peaks(kernel)
    gradient = inputs @ (kernel - integers * scales[:, None])
    for _ in range(SWEEPS):
        moved = False
        for k in range(kernel.shape[1]):
            step = gradient[:, k] / (inputs[:, k, k, None] * scales)
            q = np.clip(np.rint(integers[:, k] + step), -limit, limit)
            q = np.where(largest == k, integers[:, k], q)
            change = (q - integers[:, k]) * scales
            if change.any():
                moved = True
                gradient -= inputs[:, :, k, None] * change[:, None]
                integers[:, k] = q
        if not moved:
            break
    return integers
