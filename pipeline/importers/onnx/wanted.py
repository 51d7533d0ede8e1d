"""What a user says about a model file that does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to read a file.

    Attributes
    ----------
    input_shape : tuple of int or None
        Sizes of one image in the order of the file, where the file leaves some open.
    until : str or None
        The node whose output becomes the model's.
    """

    input_shape: tuple[int, ...] | None = None
    until: str | None = None
