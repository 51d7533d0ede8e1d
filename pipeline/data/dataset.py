"""Images with labels or with numbers, split into training and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data.labels import form_problem, is_one_hot, range_problem
from pipeline.data.stored_images import Images, choose
from pipeline.errors import DataError


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A data set; images stay integers, rescaling belongs to the model.

    Attributes
    ----------
    name, source, licence : str
        What it is, where it comes from, under which terms.
    classes : tuple of str
        Name of each label; empty where a number is to be estimated (regression).
    x_train, x_test : uint8 or int8 array of shape (n, height, width, channels), or StoredImages
    y_train, y_test : int64 array of shape (n,)
        Index into `classes`, which is the number of a model's output (0 and 1 where it has one).
        For a regression float32 numbers, or maps of shape (n, ...) as the
        model gives them.

    Raises
    ------
    DataError
        Listing all problems of the arrays.
    """

    name: str
    source: str
    licence: str
    classes: tuple[str, ...]
    x_train: Images
    y_train: np.ndarray
    x_test: Images
    y_test: np.ndarray

    def __post_init__(self):
        """Check the arrays."""
        problems = [*self._split_problems("train"), *self._split_problems("test")]
        if not problems and self.x_train.shape[1:] != self.x_test.shape[1:]:
            problems.append(
                f"x_train has images of shape {self.x_train.shape[1:]}, x_test of "
                f"{self.x_test.shape[1:]}; they must agree"
            )
        if problems:
            raise DataError(f"{self.name}: " + "; ".join(problems))

    def _split_problems(self, split: str) -> Iterator[str]:
        images, labels = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
        if images.dtype not in (np.uint8, np.int8) or images.ndim != 4:
            advice = "; grey images need an axis of one channel: x[..., None]"
            yield (
                f"x_{split} is {images.dtype} of shape {images.shape}; needed: uint8 (or int8) of "
                "shape (images, height, width, channels), not rescaled"
                f"{advice if images.ndim == 3 else ''}"
            )
        elif 0 in images.shape:
            yield f"x_{split} is empty, shape {images.shape}"
        if self.is_regression:
            yield from self._number_problems(split)
            return
        classes = len(self.classes)
        problem = form_problem(labels, len(images)) or range_problem(
            labels, classes, f"the data set has {classes} classes"
        )
        if problem:
            yield f"y_{split}: {problem}"

    def _number_problems(self, split: str) -> Iterator[str]:
        images, numbers = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
        if numbers.dtype != np.float32 or numbers.ndim == 0 or len(numbers) != len(images):
            yield (
                f"y_{split} is {numbers.dtype} of shape {numbers.shape}; needed: float32 of shape "
                f"({len(images)},), one number for each image, or ({len(images)}, ...), a map each"
            )
        elif is_one_hot(numbers):
            yield f"y_{split} holds one-hot rows; classes are whole numbers: take y.argmax(axis=1)"
        elif not np.isfinite(numbers).all():
            yield f"y_{split} holds numbers that are not finite"

    @property
    def is_regression(self) -> bool:
        """True if the targets are numbers instead of classes."""
        return not self.classes

    def class_name(self, label: int) -> str:
        """Return the name of a class; beyond those of the data, a spare output's number."""
        return self.classes[label] if label < len(self.classes) else str(label)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.x_train.shape[1:]

    def subset(self, train_samples=None, test_samples=None, *, seed=0) -> Dataset:
        """Return a random subset of the data set; None keeps all images."""
        rng = np.random.default_rng(seed)
        train = _choose(f"{self.name}: data.train_samples", len(self.y_train), train_samples, rng)
        test = _choose(f"{self.name}: data.test_samples", len(self.y_test), test_samples, rng)
        return replace(
            self,
            x_train=choose(self.x_train, train),
            y_train=self.y_train[train],
            x_test=choose(self.x_test, test),
            y_test=self.y_test[test],
        )


def _choose(name, available, wanted, rng):
    if wanted is None:
        return slice(None)
    if wanted > available:
        raise DataError(f"{name}: found {wanted}; there are {available} images")
    return rng.permutation(available)[:wanted]
