"""Fit the last layer to another model's class probabilities, after a refit of its logits.

Least squares weight the errors of all logits equally, but the largest few decide the class.
"""

from __future__ import annotations

import numpy as np

from pipeline.graph.activations import softmax

PENALTY = 0.2
"""Weight of the squared distance to the starting weights, in units of each input's variance: it
equals a fifth of an image, so that a few images change little."""
STEPS = 500


def fit_classes(
    inputs: np.ndarray,
    logits: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    noise: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias refined towards the class probabilities of `logits`.

    Minimises the Kullback-Leibler divergence of the probabilities, plus the second-order effect of
    noise on the inputs, plus a penalty on the distance to the given weights: a convex function.

    Parameters
    ----------
    inputs : array of shape (n, inputs)
    logits : array of shape (n, classes)
        Targets before softmax; a single column before a sigmoid.
    weights : array of shape (inputs, classes)
    bias : array of shape (classes,)
    noise : array of shape (inputs,), optional
        Variance of the noise that will be added to each input.
    """
    if logits.shape[1] == 1:
        return _fit_binary(inputs, logits, weights, bias, noise)
    from scipy.optimize import minimize

    mean, spread = inputs.mean(0, dtype=np.float64), inputs.std(0, dtype=np.float64)
    # A constant input keeps its weights.
    varies = spread > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    units = np.where(varies, (inputs - mean) / np.where(varies, spread, 1), 0)
    x = np.concatenate([units, np.ones((len(units), 1))], 1, dtype=np.float64)
    scale = np.where(varies, spread, 1)[:, None]
    start = np.concatenate([weights * scale, (bias + mean @ weights)[None]], dtype=np.float64)
    wanted = softmax(np.asarray(logits, np.float64))
    spared = np.zeros(len(weights)) if noise is None else noise * varies / scale[:, 0] ** 2
    # The curvature of the divergence along a logit is p (1 - p).
    curvature = np.sum(wanted * (1 - wanted), axis=0)
    damping = np.append(spared, 0)[:, None] * curvature

    def divergence(flat):
        fitted = flat.reshape(start.shape)
        outputs = x @ fitted
        outputs -= outputs.max(1, keepdims=True)
        powers = np.exp(outputs)
        totals = powers.sum(1, keepdims=True)
        moved = fitted - start
        # The entropy of the targets is a constant, and omitted.
        loss = np.sum(wanted * (np.log(totals) - outputs))
        loss += np.sum(damping * fitted**2 + PENALTY * moved**2) / 2
        slope = x.T @ (powers / totals - wanted) + damping * fitted + PENALTY * moved
        return loss, slope.ravel()

    found = minimize(
        divergence, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
    )
    fitted = found.x.reshape(start.shape)
    fitted[:-1] /= scale
    return fitted[:-1], fitted[-1] - mean @ fitted[:-1]


def _fit_binary(inputs, logits, weights, bias, noise):
    """Fit one logit: sigmoid(z) is the softmax of (-z/2, z/2), whose fit stays symmetric."""
    halves = (np.concatenate([-part, part], -1) / 2 for part in (logits, weights, bias))
    weights, bias = fit_classes(inputs, *halves, noise)
    return weights[:, 1:] - weights[:, :1], bias[1:] - bias[:1]
