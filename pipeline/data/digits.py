"""Handwritten digits, 8x8, as scikit-learn ships them (Alpaydin and Kaynak, UCI)."""

from __future__ import annotations

import numpy as np

from pipeline.data.dataset import Dataset

TRAIN = 1437
LARGEST = 16


def load(options) -> Dataset:
    """Return 1437 training and 360 test images of shape (8, 8, 1).

    The pixels' 0 to 16 become 0 to 255 (halves round to even); ``options.seed`` decides the split.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / LARGEST)).astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int64)
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
