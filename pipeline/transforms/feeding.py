"""How to change images of a model for a transformed one that takes another shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

RESHAPE, PERMUTE = "reshape", "permute"


@dataclass(frozen=True)
class Feeding:
    """Steps from images of one model to those of another.

    Attributes
    ----------
    steps : tuple of (str, tuple of int)
        ``reshape`` and the shape of one image, or ``permute`` and its axes, counted from 1.
    """

    steps: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @classmethod
    def of(cls, values: Iterable) -> Feeding:
        """Return what `as_list` made JSON values of.

        Raises
        ------
        ValueError
            If a step is not known.
        """
        steps = tuple((str(kind), tuple(map(int, numbers))) for kind, numbers in values)
        if unknown := [kind for kind, _ in steps if kind not in (RESHAPE, PERMUTE)]:
            raise ValueError(f"unknown step '{unknown[0]}' of a feeding")
        return cls(steps)

    def as_list(self) -> list:
        """Return JSON values."""
        return [[kind, list(numbers)] for kind, numbers in self.steps]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return images, of shape (n, ...), as the transformed model takes them."""
        for kind, numbers in self.steps:
            if kind == RESHAPE:
                images = images.reshape(len(images), *numbers)
            else:
                images = images.transpose(0, *numbers)
        return images

    def __add__(self, other: Feeding) -> Feeding:
        first = self.steps
        if first and other.steps and first[-1][0] == other.steps[0][0] == RESHAPE:
            first = first[:-1]
        return Feeding((*first, *other.steps))

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        """Return the steps as NumPy code on an array ``x`` of images."""
        calls = (
            f".reshape(-1, {', '.join(map(str, numbers))})"
            if kind == RESHAPE
            else f".transpose(0, {', '.join(map(str, numbers))})"
            for kind, numbers in self.steps
        )
        return "x" + "".join(calls)


AS_THEY_ARE = Feeding()
"""Both models take the same images."""


def feeding_sentence(feeding: Feeding) -> str:
    """Return what a user has to do to images."""
    return f"takes images of another shape: {feeding}, where x are images of the given model"
