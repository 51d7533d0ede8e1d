"""Fit a linear layer to target outputs in closed form, with a penalty towards its old weights."""

from __future__ import annotations

import numpy as np

PENALTIES = np.logspace(-8, 2, 41)
"""Candidate penalties, in units of the mean variance of the inputs' principal axes."""


def fit_ridge(
    inputs: np.ndarray, wanted: np.ndarray, prior: np.ndarray, noise: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return (weights, bias, penalty) of the best linear map from `inputs` to `wanted`.

    The weights W minimise ``|X W + b - Y|^2 + penalty |W - prior|^2``; the first term is the
    expectation over noise added to the inputs. The penalty is the one of `PENALTIES` with the
    smallest generalised cross-validation error, so that with few samples the weights stay near the
    prior. Constant inputs keep the prior exactly.

    Parameters
    ----------
    inputs : array of shape (n, inputs)
    wanted : array of shape (n, outputs)
    prior : array of shape (inputs, outputs)
    noise : array of shape (inputs,), optional
        Variance that each input will have besides its own.

    Returns
    -------
    weights : float64 array of shape (inputs, outputs)
    bias : float64 array of shape (outputs,)
    penalty : float
    """
    x, y = np.asarray(inputs, np.float64), np.asarray(wanted, np.float64)
    prior = np.asarray(prior, np.float64)
    count, x_mean, y_mean = len(x), x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    if noise is not None and x.any():
        # Input noise equals one extra row per input with target 0.
        x = np.concatenate([x, np.diag(np.sqrt(count * noise))])
        y = np.concatenate([y, np.zeros_like(prior)])
    left = y - x @ prior
    # Variances of the principal axes, and the covariance with the prior's residual along them.
    variances, axes = np.linalg.eigh(x.T @ x)
    variances = np.maximum(variances, 0)
    scale = variances.mean()
    if scale == 0:
        return prior, y_mean - x_mean @ prior, 0.0
    along = axes.T @ (x.T @ left)
    energy, total = np.square(along).sum(1), np.square(left).sum()
    errors = []
    for penalty in PENALTIES * scale:
        damped = variances + penalty
        residual = total - np.sum(energy * (variances + 2 * penalty) / damped**2)
        # One degree of freedom belongs to the mean.
        freedom = count - 1 - np.sum(variances / damped)
        errors.append(max(residual, 0) / freedom**2 if freedom > 1 else np.inf)
    penalty = PENALTIES[int(np.argmin(errors))] * scale
    weights = prior + axes @ (along / (variances + penalty)[:, None])
    return weights, y_mean - x_mean @ weights, float(penalty / scale)
