"""Constants of an ONNX model, those that depend on the number of images included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ModelError

TRIED = (10007, 20011)
"""Two numbers of images: a constant with which both give the same does not depend on it."""


@dataclass(frozen=True, eq=False)
class Constant:
    """What a constant is for either of two numbers of images.

    Attributes
    ----------
    first, second : array
    """

    first: np.ndarray
    second: np.ndarray

    @property
    def value(self) -> np.ndarray:
        """Its value.

        Raises
        ------
        ModelError
            When it depends on the number of images.
        """
        if self.first is not self.second and not _equal(self.first, self.second):
            raise ModelError(
                "it computes with the number of images; allowed: only as first size of a shape"
            )
        return self.first


def same(array: np.ndarray) -> Constant:
    """Return a constant that does not depend on the number of images."""
    return Constant(array, array)


def target_shape(constant: Constant, batch: tuple[int, int], size: int) -> list[int]:
    """Return the shape of one image that a Reshape makes.

    Parameters
    ----------
    constant : Constant
        ONNX' shape, with the batch: its first size is the number of images, or -1, or 0 (as it
        was).
    batch : (int, int)
        The numbers of images that were tried.
    size : int
        Values of one image.

    Raises
    ------
    ModelError
        When the batch does not stay the first axis.
    """
    first, second = (list(map(int, shape.ravel())) for shape in (constant.first, constant.second))
    error = ModelError(
        f"its shape is {first if first == second else ['batch', *first[1:]]}; allowed: the batch"
        " first, and other sizes for one image"
    )
    if len(first) != len(second) or first[1:] != second[1:] or not first:
        raise error
    rest = first[1:]
    if (first[0], second[0]) == batch or first[0] == second[0] == 0:
        if rest.count(-1) == 1 and (known := -int(np.prod(rest, dtype=object))) > 0:
            rest[rest.index(-1)] = size // known
    elif first[0] != -1 or second[0] != -1:
        raise error
    # With -1 for the batch, its size follows from the others, which must be one image.
    if any(n < 1 for n in rest) or int(np.prod(rest, dtype=object)) != size:
        raise error
    return rest


def _equal(a, b):
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
