"""Fit the last layer to another model's class probabilities, where a refit of logits left off.

Least squares weigh an error of any logit alike; what decides the class are the few largest ones.
"""

from __future__ import annotations

import numpy as np

TEMPERATURE = 2.0
PENALTY = 3e-4
"""Of leaving the starting weights, in units of each input's variance, per image."""
STEPS = 100


def fit_classes(
    inputs: np.ndarray, logits: np.ndarray, weights: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias nearer to the classes of `logits`.

    Minimises the Kullback-Leibler divergence of the softened probabilities, plus a penalty for
    leaving the given weights. Each step minimises a quadratic bound of this convex function
    (Boehning 1992), so that none makes it worse; the bound's matrix is the same for all steps.

    Parameters
    ----------
    inputs : array of shape (n, inputs)
    logits : array of shape (n, classes)
        Wanted, before softmax.
    weights : array of shape (inputs, classes)
    bias : array of shape (classes,)
    """
    x = np.concatenate([inputs, np.ones((len(inputs), 1))], 1, dtype=np.float64)
    start = np.concatenate([weights, bias[None]], dtype=np.float64)
    scale = x.var(0)
    scale[-1] = 1
    penalty = PENALTY * len(x) * scale
    bound = x.T @ x / (2 * TEMPERATURE**2) + np.diag(penalty + 1e-9 * len(x))
    step = np.linalg.inv(bound)
    wanted, fitted = _softened(np.asarray(logits, np.float64)), start
    for _ in range(STEPS):
        slope = x.T @ (_softened(x @ fitted) - wanted) / TEMPERATURE
        fitted = fitted - step @ (slope + penalty[:, None] * (fitted - start))
    return fitted[:-1], fitted[-1]


def _softened(logits):
    logits = (logits - logits.max(1, keepdims=True)) / TEMPERATURE
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)
