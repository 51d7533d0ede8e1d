"""Predicted class of an output: one definition for accuracy, agreement and predictions."""

from __future__ import annotations

import numpy as np


def classify(outputs: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Return the class of each output.

    Parameters
    ----------
    outputs : array of shape (n, ...)
        Logits, probabilities, or integers proportional to them.
    threshold : float
        Decision threshold of a model with one output: 0 for a logit, 0.5 for a probability.
        Programs output logits, since a final sigmoid runs on the host.

    Returns
    -------
    int64 array of shape (n,)
        With several outputs, the index of the largest (the first of equal ones). With one
        output, 1 if it exceeds `threshold`, else 0.
    """
    flat = outputs.reshape(len(outputs), -1)
    if flat.shape[1] == 1:
        return (flat[:, 0] > threshold).astype(np.int64)
    return flat.argmax(axis=1)
