"""Labels of classes: whole numbers, one for each image, each the number of an output.

The type of the labels decides what is learned and measured. Whole numbers are classes: 0 and 1
for a model with one output, 0 to n - 1 for n outputs. Floats are numbers to estimate.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import DataError

MOST_CLASSES = 1 << 16
"""Classes that a data set may have: labels beyond are identifiers rather than classes."""


def check_labels(labels: np.ndarray, *, name: str, images: int, outputs: int) -> np.ndarray:
    """Return labels as int64, or refuse what cannot be classes of a model.

    Parameters
    ----------
    labels : array
    name : str
        What to call them: a file, a role.
    images : int
        How many images they belong to.
    outputs : int
        Values that the model gives for an image.

    Raises
    ------
    DataError
        With what was found, what is allowed, and how to mend it.
    """
    labels = np.asarray(labels)
    several = f"the model has {outputs} outputs"
    reason = several if outputs > 1 else "the model's one output tells class 1 from class 0"
    problem = form_problem(labels, images) or range_problem(labels, max(outputs, 2), reason)
    if problem:
        raise DataError(f"{name}: {problem}")
    return labels.astype(np.int64)


def form_problem(labels: np.ndarray, images: int) -> str | None:
    """Return why `labels` are not one whole number for each image, or None."""
    wanted = f"allowed: one whole number for each of the {images} images"
    found = f"found {labels.dtype} of shape {labels.shape}; {wanted}"
    if is_one_hot(labels):
        return f"{found}; these are one-hot rows: take labels.argmax(axis=1)"
    if labels.shape == (images, 1):
        return f"{found}; this is a column: take labels[:, 0]"
    if labels.shape != (images,):
        return found
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels).all() and np.array_equal(labels, np.rint(labels))
        mend = "take labels.astype('int64')" if whole else "floats are numbers, not classes"
        return f"{found}; {mend}"
    return None if labels.dtype.kind in "iub" else found


def range_problem(labels: np.ndarray, classes: int, reason: str) -> str | None:
    """Return why `labels` are not numbers of classes, or None.

    Parameters
    ----------
    labels : int array of shape (n,)
    classes : int
    reason : str
        Why there are that many, for the message.
    """
    if not labels.size:
        return None
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < classes:
        return None
    return (
        f"found labels from {low} to {high}; allowed: 0 to {classes - 1}, since {reason};"
        f" {_renumbering(labels, low, high, classes)}"
    )


def is_one_hot(labels: np.ndarray) -> bool:
    """Return whether every row of a table holds a single 1, and zeros."""
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iufb":
        return False
    rows = np.isin(labels, (0, 1)).all(axis=1) & (labels.sum(axis=1) == 1)
    return bool(len(rows) and rows.all())


def _renumbering(labels, low, high, classes):
    """Return how to bring the labels into range."""
    if high - low < classes and low != 0:
        change = f"labels - {low}" if low > 0 else f"labels + {-low}"
        return f"number the classes from 0: take {change}"
    if len(np.unique(labels)) <= classes:
        return "number the classes from 0: take np.unique(labels, return_inverse=True)[1]"
    return (
        "take labels of as many classes (numbers to estimate are floats: labels.astype('float32'))"
    )
