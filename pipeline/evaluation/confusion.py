"""Draw the confusion matrix of classes, and the scatter plot of a regression."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

MANY = 20


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix.

    Parameters
    ----------
    labels, predictions : int64 array of shape (images,)
    classes : int

    Returns
    -------
    int64 array of shape (classes, classes) or (classes, classes + 1)
        Rows are labels, columns are predictions. The extra column counts predictions beyond the
        classes (a model with spare outputs), if there are any.
    """
    matrix = np.zeros((classes, classes + 1), np.int64)
    np.add.at(matrix, (labels, np.minimum(predictions, classes)), 1)
    return matrix if matrix[:, -1].any() else matrix[:, :-1]


def draw_confusion(labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]) -> bytes:
    """Return the confusion matrix as a PNG image; equal inputs give equal bytes.

    Parameters
    ----------
    labels, predictions : int64 array of shape (images,)
    classes : sequence of str
        Names of the classes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matrix = confusion_matrix(labels, predictions, len(classes))
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="predicted by the emulator", ylabel="label")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [*classes, "other"][: matrix.shape[1]]
    if len(classes) <= MANY:
        axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(classes)), classes)
        for row, column in np.argwhere(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = str(matrix[row, column])
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_title(f"{np.mean(labels == predictions):.2%} of {len(labels)} images correct")
    return _png(figure)


def draw_scatter(numbers: np.ndarray, predictions: np.ndarray) -> bytes:
    """Return a scatter plot of numbers and predictions as a PNG; equal inputs give equal bytes.

    Parameters
    ----------
    numbers, predictions : float array of shape (images,)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="label", ylabel="predicted by the emulator")
    ends = [min(numbers.min(), predictions.min()), max(numbers.max(), predictions.max())]
    axes.plot(ends, ends, color="lightgrey")
    axes.scatter(numbers, predictions, s=8)
    error = np.mean(np.abs(predictions - numbers))
    axes.set_title(f"mean absolute error {error:.4g} of {len(numbers):,} numbers")
    return _png(figure)


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
