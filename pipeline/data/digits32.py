"""The digits enlarged to 32x32x3, for models with that input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.data import digits
from pipeline.data.dataset import Dataset

FACTOR = 4


def load(options) -> Dataset:
    """Return the digits with each pixel repeated 4x4, and three equal channels."""
    small = digits.load(options)
    return replace(
        small, name="digits32", x_train=_enlarge(small.x_train), x_test=_enlarge(small.x_test)
    )


def _enlarge(images):
    large = images.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)
    return np.repeat(large, 3, axis=3)
