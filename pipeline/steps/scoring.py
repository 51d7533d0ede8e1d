"""Images and labels of a user, and how well outputs fit the labels."""

from __future__ import annotations

from math import prod
from os import PathLike
from typing import Any

import numpy as np


def as_array(values: Any) -> np.ndarray:
    """Return an array, or the one in a ``.npy`` file."""
    if isinstance(values, str | PathLike):
        from pipeline.data.array_file import load_array

        return load_array(values)
    return np.asarray(values)


def as_images(values: Any, name: str) -> np.ndarray:
    """Return images, whose shape and values are left to the model that takes them.

    Raises
    ------
    DataError
        If they are no array of several real numbers.
    """
    from pipeline.errors import DataError

    images = as_array(values)
    if images.ndim == 0 or images.dtype.kind not in "biuf":
        raise DataError(
            f"{called(values, name)}: found {images.dtype} of shape {images.shape}; allowed: real"
            " numbers, of which the first axis counts the images"
        )
    return images


def called(values: Any, name: str) -> str:
    """Return what messages call an array: its file, or `name`."""
    return str(values) if isinstance(values, str | PathLike) else name


def as_labels(values: Any, *, images: int, outputs: int) -> np.ndarray:
    """Return labels: classes as int64, or numbers to estimate as floats.

    Raises
    ------
    DataError
        If they are neither: one-hot rows, classes that the model does not have.
    """
    from pipeline.data.labels import check_labels, is_one_hot

    labels = as_array(values)
    if labels.dtype.kind == "f" and not is_one_hot(labels):
        return labels
    return check_labels(labels, name="labels", images=images, outputs=outputs)


def as_classes(values: Any, graph: Any, images: np.ndarray) -> np.ndarray | None:
    """Return labels as classes of a model's outputs, or None.

    Raises
    ------
    DataError
        If they are not one class of the model for each image.
    """
    from pipeline.data.labels import check_labels

    if values is None:
        return None
    outputs = prod(graph.shapes[graph.output])
    name = called(values, "y")
    return check_labels(as_array(values), name=name, images=len(images), outputs=outputs)


def fit(outputs: np.ndarray, labels: np.ndarray, threshold: float = 0.0) -> dict[str, float]:
    """Return ``accuracy`` for classes, ``mean_absolute_error`` for numbers.

    Parameters
    ----------
    outputs : array of shape (n, ...)
    labels : array
        As `as_labels` returns them.
    threshold : float
        Above it, the only output of a model means class 1.
    """
    from pipeline.accuracy import mean_absolute_error
    from simulator.classes import classify

    if labels.dtype.kind == "f":
        return {"mean_absolute_error": mean_absolute_error(outputs, labels)}
    return {"accuracy": float(np.mean(classify(outputs, threshold) == labels))}
