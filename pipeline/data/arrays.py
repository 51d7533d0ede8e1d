"""The user's own images, in one ``.npz`` file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Dataset
from pipeline.errors import DataError

MEMBERS = ("x_train", "y_train", "x_test", "y_test")
DAMAGED = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def load(options) -> Dataset:
    """Return the arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` of ``options.path``.

    Nothing in the file is unpickled. Classes are the labels from 0 to the largest one; where both
    ``y`` are floats, they are numbers to estimate.
    """
    path = Path(options.path or "")
    if not path.is_file():
        raise DataError(f"data.path: no file '{path}'; it must hold {', '.join(MEMBERS)}")
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("a single array")
            names = set(file.files)
            arrays = {name: file[name] for name in MEMBERS if name in names}
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a readable .npz file of plain arrays ({reason})") from error
    missing = [name for name in MEMBERS if name not in arrays]
    if missing:
        raise DataError(
            f"{path}: lacks {', '.join(missing)}; it holds {', '.join(sorted(names)) or 'nothing'}"
        )
    labels = [arrays[name] for name in ("y_train", "y_test")]
    if all(y.dtype.kind == "f" for y in labels):
        arrays |= {name: arrays[name].astype(np.float32) for name in ("y_train", "y_test")}
        return Dataset(classes=(), **_origin(path), **arrays)
    whole = [y for y in labels if y.dtype.kind in "iu" and y.size]
    classes = max((int(y.max()) for y in whole), default=0) + 1
    for name in ("y_train", "y_test"):
        if arrays[name].dtype.kind in "iu":
            arrays[name] = arrays[name].astype(np.int64)
    names = tuple(str(label) for label in range(max(classes, 1)))
    return Dataset(classes=names, **_origin(path), **arrays)


def _origin(path) -> dict[str, str]:
    return {"name": str(path), "source": f"file {path.name}", "licence": "the user's own"}


def fingerprint(path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
