"""Weights that an ONNX file keeps in another file beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipeline.errors import ModelError


def external_bytes(model: Path, tensor: str, entries: Mapping[str, str], most: int) -> bytes:
    """Return the bytes of one tensor.

    Parameters
    ----------
    model : path
        The ONNX file; only files of its own folder are read.
    tensor : str
        For messages.
    entries : mapping
        ``location``, ``offset`` and ``length`` as the file gives them.
    most : int
        Largest number of bytes.

    Raises
    ------
    ModelError
        When the place is another folder, or lacks the bytes.
    """
    location = entries.get("location", "")
    path = _beside(model, location)
    if path is None:
        raise ModelError(
            f"{model}: keeps the weights '{tensor}' in {location[:80]!r}; allowed: a file in the"
            " folder of the model; save the model with its weights inside"
        )
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", path.stat().st_size - offset))
    except ValueError as error:
        raise ModelError(f"{model}: the place of the weights '{tensor}' is damaged") from error
    if offset < 0 or not 0 <= length <= most or offset + length > path.stat().st_size:
        raise ModelError(
            f"{model}: the weights '{tensor}' are beyond the end of {path.name}; it is damaged"
        )
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _beside(model, location) -> Path | None:
    """Return the path of a file in the folder of the model; None where it is another one."""
    if PurePosixPath(location).name != location or not location.isprintable() or "\\" in location:
        return None
    path = (model.parent / location).resolve()
    return path if path.parent == model.resolve().parent and path.is_file() else None
