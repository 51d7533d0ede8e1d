"""Images on which transforms measure and calibrate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.progress import Progress
from pipeline.transforms.feeding import Feeding


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Images for calibration and measurement, with labels if there are any.

    Attributes
    ----------
    images : array of shape (n, height, width, channels)
        For calibration and tuning.
    labels : int64 array of shape (n,), or None
        Labels of `images`; floats for a regression. Only the strategy ``finetune`` reads them.
    test_images : array of shape (m, height, width, channels), or None
    test_labels : int64 array of shape (m,), or None
        For the accuracies in the report.
    progress : Progress, optional
        Display of the progress of training.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    progress: Progress | None = None

    @property
    def are_numbers(self) -> bool:
        """True if the labels are numbers of a regression, so that there is no accuracy."""
        return self.labels is not None and np.asarray(self.labels).dtype.kind == "f"

    @property
    def has_test(self) -> bool:
        """True if accuracy can be measured."""
        return self.test_images is not None and self.test_labels is not None

    def fed(self, feeding: Feeding) -> Images:
        """Return the same images as a transformed model takes them."""
        if not feeding:
            return self
        test = self.test_images if self.test_images is None else feeding(self.test_images)
        return replace(self, images=feeding(self.images), test_images=test)

    def drawn(self, count: int, seed: int) -> np.ndarray:
        """Return `count` of the images, or all if there are fewer, drawn by `seed`."""
        order = np.random.default_rng(seed).permutation(len(self.images))
        return self.images[order[:count]]
