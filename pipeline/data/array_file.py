"""Read and write the user's ``.npy`` arrays, and write several as ``.npz``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.files import write_bytes
from simulator.archive import EPOCH
from simulator.npy import DamagedArrayError, load_npy


def load_array(path) -> np.ndarray:
    """Return the array in a ``.npy`` file; pickled objects are refused.

    Raises
    ------
    DataError
        When the file is missing, or is not one plain array.
    """
    if Path(path).is_dir():
        raise DataError(f"{path}: is a folder; give a .npy array of images")
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; give a .npy array of images")
    if zipfile.is_zipfile(path):
        raise DataError(f"{path}: an archive of several arrays; give one .npy array")
    try:
        return load_npy(path)
    except (DamagedArrayError, OSError) as error:
        raise DataError(f"{path}: not a readable .npy array ({error})") from error


def save_array(path, array: np.ndarray) -> None:
    """Write a ``.npy`` file atomically."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def save_arrays(path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` file atomically; names may contain ``/``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), member.getvalue())
    write_bytes(path, buffer.getvalue())
