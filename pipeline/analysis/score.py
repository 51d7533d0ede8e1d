"""How far a model's outputs are from the float model's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.classes import classify

SMALLEST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Score:
    """How far outputs are from the float model's.

    Attributes
    ----------
    loss : float
        Mean Kullback-Leibler divergence of the classes' probabilities from the float model's, in
        nats; for other outputs, the error's power over their variance.
    agreement : float or None
        Share of images with the same class.
    accuracy : float or None
        With labels.
    """

    loss: float
    agreement: float | None = None
    accuracy: float | None = None


def score(wanted: np.ndarray, outputs: np.ndarray, labels=None) -> Score:
    """Return how far outputs are from the float model's.

    Parameters
    ----------
    wanted, outputs : arrays of shape (n, ...)
        Logits of the float model and of a program.
    labels : int array of shape (n,), optional
    """
    outputs = outputs.reshape(wanted.shape).astype(np.float64)
    if wanted.ndim > 2 or wanted.shape[-1] < 2:
        noise = np.square(outputs - wanted).mean()
        return Score(loss=float(noise / max(wanted.var(axis=0).mean(), SMALLEST)))
    classes = classify(outputs)
    return Score(
        loss=float(divergence(wanted, outputs).mean()),
        agreement=float(np.mean(classes == classify(wanted))),
        accuracy=None if labels is None else float(np.mean(classes == labels)),
    )


def divergence(wanted: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return the Kullback-Leibler divergence of each image's class probabilities, in nats.

    Parameters
    ----------
    wanted, outputs : arrays of shape (n, classes)
        Logits.
    """
    expected, found = (_log_softmax(logits.astype(np.float64)) for logits in (wanted, outputs))
    return (np.exp(expected) * (expected - found)).sum(axis=-1)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
