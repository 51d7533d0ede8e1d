"""The user's own images, in one ``.npz`` file or in a folder of ``.npy`` files."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pipeline.data import store
from pipeline.data.dataset import Dataset
from pipeline.data.labels import MOST_CLASSES
from pipeline.data.stored_images import Images, StoredImages
from pipeline.errors import DataError
from pipeline.files import file_sha256
from simulator.malformed import brief
from simulator.npy import load_npy, read_npy_member

MEMBERS = ("x_train", "y_train", "x_test", "y_test")
DAMAGED = (
    *(ValueError, OSError, EOFError, RuntimeError, SyntaxError, KeyError),
    *(zipfile.BadZipFile, zlib.error),
)


def load(options) -> Dataset:
    """Return the arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` of ``options.path``.

    Either a ``.npz`` file, or a folder with one ``.npy`` file for each. Large images stay on the
    disk: those of a folder where they are, those of a ``.npz`` file unpacked in the user's cache.
    Nothing in the files is unpickled. Classes are the labels from 0 to the largest one; where both
    ``y`` are floats, they are numbers to estimate.
    """
    path = Path(options.path or "")
    if not options.path or not path.exists():
        raise DataError(
            f"data.path: no file or folder '{options.path or ''}'; it must hold"
            f" {', '.join(MEMBERS)}"
        )
    arrays = _folder(path) if path.is_dir() else _archive(path)
    labels = [arrays[name] for name in ("y_train", "y_test")]
    if all(y.dtype.kind == "f" for y in labels):
        arrays |= {name: arrays[name].astype(np.float32) for name in ("y_train", "y_test")}
        return Dataset(classes=(), **_origin(path), **arrays)
    whole = [y for y in labels if y.dtype.kind in "iub" and y.size]
    classes = max((int(y.max()) for y in whole), default=0) + 1
    for name in ("y_train", "y_test"):
        if arrays[name].dtype.kind in "iub":
            arrays[name] = arrays[name].astype(np.int64)
    names = tuple(str(label) for label in range(min(max(classes, 1), MOST_CLASSES)))
    return Dataset(classes=names, **_origin(path), **arrays)


def fingerprint(path) -> str:
    """Return the SHA-256 of the file, or of the folder's four files, in hexadecimal."""
    if not Path(path).is_dir():
        return file_sha256(path)
    hashes = [file_sha256(Path(path) / f"{name}.npy") for name in MEMBERS]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _folder(path: Path) -> dict[str, Images]:
    files = {name: path / f"{name}.npy" for name in MEMBERS}
    _refuse_missing(path, {name for name, file in files.items() if file.is_file()})
    arrays: dict[str, Images] = {}
    for name, file in files.items():
        try:
            large = name.startswith("x") and file.stat().st_size > store.LARGE
            arrays[name] = StoredImages(file) if large else load_npy(file)
        except DAMAGED as error:
            raise DataError(f"{file}: not a readable .npy array ({brief(error)})") from error
    return arrays


def _archive(path: Path) -> dict[str, Images]:
    arrays: dict[str, Images] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            held = {member.removesuffix(".npy") for member in archive.namelist()}
            _refuse_missing(path, held)
            for name in MEMBERS:
                size = archive.getinfo(f"{name}.npy").file_size
                if name.startswith("x") and size > store.LARGE:
                    arrays[name] = _unpacked(path, archive, name)
                else:
                    arrays[name] = read_npy_member(archive, f"{name}.npy")
    except DataError:
        raise
    except DAMAGED as error:
        reason = brief(error)
        raise DataError(f"{path}: not a readable .npz file of plain arrays ({reason})") from error
    return arrays


def _unpacked(path: Path, archive: zipfile.ZipFile, name: str) -> StoredImages:
    def write(file) -> None:
        with archive.open(f"{name}.npy") as member:
            shutil.copyfileobj(member, file, 2**20)

    return store.stored(write, store.place("arrays", path) / f"{name}.npy", file_sha256(path))


def _refuse_missing(path: Path, names: set[str]) -> None:
    missing = [name for name in MEMBERS if name not in names]
    if missing:
        held = ", ".join(sorted(names)) or "nothing"
        raise DataError(f"{path}: lacks {', '.join(missing)}; it holds {held}")


def _origin(path) -> dict[str, str]:
    return {"name": str(path), "source": f"file {path.name}", "licence": "the user's own"}
