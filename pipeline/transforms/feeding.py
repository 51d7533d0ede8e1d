"""How to change images of a model for a transformed one that takes others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

RESHAPE, PERMUTE, SHIFT = "reshape", "permute", "shift"


@dataclass(frozen=True)
class Feeding:
    """Steps from images of one model to those of another.

    Attributes
    ----------
    steps : tuple of (str, tuple of int)
        ``reshape`` and the shape of one image, ``permute`` and its axes, counted from 1, or
        ``shift`` and what is added to uint8 values, which makes them int8.
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
        if unknown := [kind for kind, _ in steps if kind not in (RESHAPE, PERMUTE, SHIFT)]:
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
            elif kind == PERMUTE:
                images = images.transpose(0, *numbers)
            else:
                images = (images.astype(np.int16) + np.int16(numbers[0])).astype(np.int8)
        return images

    @property
    def reshapes(self) -> bool:
        """True if images get another shape."""
        return any(kind != SHIFT for kind, _ in self.steps)

    def __add__(self, other: Feeding) -> Feeding:
        first = self.steps
        if first and other.steps and first[-1][0] == other.steps[0][0] == RESHAPE:
            first = first[:-1]
        return Feeding((*first, *other.steps))

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        """Return the steps as NumPy code on an array ``x`` of images."""
        text = "x"
        for kind, numbers in self.steps:
            listed = ", ".join(map(str, numbers))
            if kind == RESHAPE:
                text += f".reshape(-1, {listed})"
            elif kind == PERMUTE:
                text += f".transpose(0, {listed})"
            else:
                text = f"({text}.astype('int16') + {listed}).astype('int8')"
        return text


AS_THEY_ARE = Feeding()
"""Both models take the same images."""


def feeding_sentence(feeding: Feeding) -> str:
    """Return what a user has to do to images."""
    what = "shape" if feeding.reshapes else "type"
    return f"takes images of another {what}: {feeding}, where x are images of the given model"
