"""Handwritten digits, 8x8, as scikit-learn ships them (Alpaydin and Kaynak, UCI)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Dataset

TRAIN = 1437
LARGEST = 16
FILE = "datasets/data/digits.csv.gz"
"""Of scikit-learn: 64 pixels and the label of an image in each row."""


def load(options) -> Dataset:
    """Return 1437 training and 360 test images of shape (8, 8, 1).

    The pixels' 0 to 16 become 0 to 255 (halves round to even); ``options.seed`` decides the split.
    """
    rows = _rows()
    images = np.rint(rows[:, :-1] * (255 / LARGEST)).astype(np.uint8).reshape(-1, 8, 8, 1)
    labels = rows[:, -1].astype(np.int64)
    order = np.random.default_rng(options.seed).permutation(len(images))
    train, test = order[:TRAIN], order[TRAIN:]
    return Dataset(
        name="digits",
        source="scikit-learn's load_digits: optical recognition of handwritten digits, UCI",
        licence="BSD-3-Clause (scikit-learn), CC BY 4.0 (UCI)",
        classes=tuple(str(digit) for digit in range(10)),
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
    )


def _rows() -> np.ndarray:
    """Read scikit-learn's file without importing it, which would take two seconds per stage."""
    package = find_spec("sklearn")
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / FILE
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import (
        load_digits,
    )  # else scikit-learn reports it

    digits = load_digits()
    return np.column_stack((digits.data, digits.target))
