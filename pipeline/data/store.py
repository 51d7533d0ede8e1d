"""Store data sets too large for memory in the user's cache, and verify them by hash."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.data.cache import cache_folder
from pipeline.data.stored_images import Images, StoredImages
from pipeline.errors import DataError
from pipeline.files import file_sha256
from simulator.archive import ArchiveError, read_archive, write_archive
from simulator.atomic_file import write_atomically

LARGE = 256 * 2**20
"""Size in bytes above which images stay in a file."""
KIND = "stored images"
Examples = Iterator[tuple[np.ndarray, int]]


def place(source: str, path) -> Path:
    """Return the folder of the cache for what `source` makes of the user's files at `path`."""
    text = f"{source} {Path(path).absolute()}"
    return cache_folder() / "stored" / hashlib.sha256(text.encode()).hexdigest()[:16]


def collect(
    examples: Examples, count: int, path: Path, recipe: Callable[[], str]
) -> tuple[Images, np.ndarray]:
    """Return images and labels: in memory, or in the file `path` when they are large.

    Parameters
    ----------
    examples : iterator
        `count` pairs of image and label; only the first is read when the file exists.
    count : int
        At least one.
    path : path
        A ``.npy`` file in the cache; a ``.npz`` beside it holds labels, recipe and hash.
    recipe : function
        Returns everything that determines the content; called when images are large. A file of
        another recipe is recreated.

    Raises
    ------
    DataError
        When the images differ in shape or number, or a file was modified.
    """
    first = next(examples)
    pairs, image = itertools.chain([first], examples), first[0]
    shape, labels = (count, *image.shape), np.zeros(count, np.int64)
    if image.nbytes * count <= LARGE:
        images = np.zeros(shape, image.dtype)
        for number, (found, label) in enumerate(pairs):
            images[number], labels[number] = _alike(found, image), label
        return images, labels
    made_by = recipe()
    if (known := _kept(path, made_by)) is not None:
        return StoredImages(path), known

    def write(file) -> None:
        header = {"descr": image.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for number, (found, label) in enumerate(pairs):
            file.write(np.ascontiguousarray(_alike(found, image)))
            labels[number] = label

    return _keep(path, made_by, write, labels), labels


def stored(write: Callable[[BinaryIO], object], path: Path, recipe: str) -> StoredImages:
    """Return the images in the file `path`; create it with `write` when it does not exist.

    Raises
    ------
    DataError
        When the file was modified.
    """
    if _kept(path, recipe) is not None:
        return StoredImages(path)
    return _keep(path, recipe, write, np.zeros(0, np.int64))


def _alike(image: np.ndarray, first: np.ndarray) -> np.ndarray:
    if image.shape != first.shape or image.dtype != first.dtype:
        raise DataError(
            f"images of several sizes, such as {first.shape} and {image.shape}; set data.image_size"
        )
    return image


def _kept(path: Path, recipe: str) -> np.ndarray | None:
    """Return the labels beside a file of this recipe; None when there is no such file."""
    record = path.with_suffix(".npz")
    if not (path.is_file() and record.is_file()):
        return None
    try:
        header, arrays = read_archive(record, KIND)
    except ArchiveError as error:
        raise DataError(f"{error}; delete {path.parent} and try again") from error
    if header.get("recipe") != recipe:
        return None
    if header.get("sha256") != file_sha256(path):
        raise DataError(
            f"{path}: its content has changed since it was written; delete {path.parent} and try"
            " again"
        )
    return arrays["labels"]


def _keep(path, recipe, write, labels) -> StoredImages:
    logging.info("large set: its images are written to %s, once", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = path.with_suffix(".npz")
    record.unlink(missing_ok=True)  # of an older recipe
    write_atomically(path, write)
    header = {"kind": KIND, "recipe": recipe, "sha256": file_sha256(path)}
    write_archive(record, header, {"labels": labels})
    return StoredImages(path)
