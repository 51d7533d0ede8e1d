"""Accuracy of a classifier, or mean absolute error of a regression."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.logits import class_threshold
from pipeline.messages.settings import setting
from simulator.classes import classify


def classes_of(graph: Graph, outputs: np.ndarray) -> np.ndarray:
    """Return the class predicted by each of a float model's `outputs`, int64 of shape (n,)."""
    return classify(outputs, class_threshold(graph))


def accuracy(graph: Graph, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of `images` that the float model classifies correctly."""
    return float(np.mean(classes_of(graph, forward(graph, images)) == labels))


def mean_absolute_error(outputs: np.ndarray, numbers: np.ndarray) -> float:
    """Return the mean absolute difference of outputs and labels.

    Raises
    ------
    ModelError
        If the number of outputs per image differs from that of the labels.
    """
    if outputs.size != numbers.size:
        raise ModelError(
            f"the model gives {outputs[0].size} numbers for an image; the data has"
            f" {numbers[0].size}"
        )
    return float(np.mean(np.abs(outputs.reshape(numbers.shape) - numbers)))


def score(graph: Graph, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return ``accuracy`` for integer labels, ``mean_absolute_error`` for numbers.

    The type of the labels decides, also for a model with one output: whole numbers 0 and 1 are
    two classes, floats are numbers to estimate.
    """
    if labels.dtype.kind == "f":
        return {"mean_absolute_error": mean_absolute_error(forward(graph, images), labels)}
    return {"accuracy": accuracy(graph, images, labels)}


def check_accuracy_drop(before: float, after: float, allowed: float | None) -> None:
    """Raise if transforms lose more accuracy than ``transforms.max_accuracy_drop``.

    Raises
    ------
    ModelError
        If they do; the message has both accuracies.
    """
    if allowed is not None and before - after > allowed:
        raise ModelError(
            f"transforms: accuracy fell from {before:.4f} to {after:.4f};"
            f" {setting('transforms.max_accuracy_drop')} allows {allowed}; use"
            f" {setting('transforms.gap.strategy', 'exact')}, or raise the limit"
        )
