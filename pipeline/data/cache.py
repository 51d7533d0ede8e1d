"""Cache arrays that are slow to make or download, and verify them by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from simulator.archive import ArchiveError, read_archive, write_archive

KIND = "dataset"
Arrays = Mapping[str, np.ndarray]


def cache_folder() -> Path:
    """Return the user's cache folder for crossgrade, which may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("crossgrade")


def digest(arrays: Arrays) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hexadecimal."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array)
    return found.hexdigest()


def cached(
    path: Path, recipe: str, make: Callable[[], Arrays], **facts: str
) -> dict[str, np.ndarray]:
    """Return the arrays in `path`; create them with `make` when the file does not exist.

    Parameters
    ----------
    path : path
    recipe : str
        Everything that determines the content; a file of another recipe is recreated.
    make : function without arguments
    **facts : str
        What to record beside the recipe, also in a file that lacks it.

    Raises
    ------
    DataError
        When the file is damaged, or its content is not what was written.
    """
    header, arrays = _read(path)
    if header.get("recipe") == recipe:
        if digest(arrays) != header.get("sha256"):
            raise DataError(
                f"{path}: its content has changed since it was written; delete the file and"
                " try again"
            )
        if facts.items() <= header.items():
            return arrays
    else:
        arrays = dict(make())
    header = facts | {"kind": KIND, "recipe": recipe, "sha256": digest(arrays)}
    write_archive(path, header, arrays)
    return arrays


def recorded(path: Path) -> dict[str, str]:
    """Return recipe and facts of the arrays in `path`; nothing when the file does not exist.

    Raises
    ------
    DataError
        When the file is damaged.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    if not path.is_file():
        return {}, {}
    try:
        return read_archive(path, KIND)
    except ArchiveError as error:
        raise DataError(f"{error}; delete the file and try again") from error
