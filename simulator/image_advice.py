"""Say how images become those that a model takes, where their shape or values tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def shape_advice(found: Sequence[int], wanted: Sequence[int]) -> str:
    """Return what makes images of shape `found` images of shape (n, `wanted`), or nothing.

    Parameters
    ----------
    found : sequence of int
        Shape of the images x, the first axis included.
    wanted : sequence of int
        Shape of one image, channels last.
    """
    found, wanted = tuple(found), tuple(wanted)
    if found == wanted:
        return "; one image needs a first axis: x[None]"
    if found[1:] == wanted[:-1] and wanted[-1] == 1:
        return "; grey images need an axis of one channel: x[..., None]"
    if len(wanted) == 3 and found[1:] == (wanted[2], *wanted[:2]):
        return "; channels come last: x.transpose(0, 2, 3, 1)"
    longer, same = ([n for n in sizes if n > 1] for sizes in (found[1:], wanted))
    fits = len(found) > 1 and math.prod(found[1:]) == math.prod(wanted)
    if fits and (len(found) != 4 or longer == same):  # another order would tear maps apart
        sizes = ", ".join(map(str, wanted))
        return f"; if the model was migrated from one of such images: x.reshape(-1, {sizes})"
    return ""


def type_advice(images: np.ndarray, dtype: str) -> str:
    """Return what makes images of values that `dtype` does not hold images of `dtype`, or nothing.

    Parameters
    ----------
    images : array
    dtype : str
        Of the model's input.
    """
    if str(dtype) == "uint8":
        return "; give raw pixels 0..255, scaling is part of the model"
    if str(dtype) == "int8" and images.dtype.kind in "iu" and images.min() >= 0:
        shifted = "(x.astype('int16') - 128).astype('int8')"
        return f"; if the model was migrated from one of pixels 0..255: {shifted}"
    return ""
