"""Read NumPy's ``.npy`` format from untrusted files: bounded memory, one exception type."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

HEADERS = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0}
"""Major format version to NumPy's header parser; version 3 is for named fields only."""
DAMAGE = (
    *(ValueError, TypeError, OverflowError, MemoryError, RecursionError, EOFError),
    *(SyntaxError, tokenize.TokenError),  # of the header, a Python literal
)


class DamagedArrayError(ValueError):
    """A file is not one plain array; the message says why, without the file's name."""


def load_npy(path) -> np.ndarray:
    """Return the array in a ``.npy`` file.

    Raises
    ------
    DamagedArrayError
        If the file is not one complete plain array.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        return read_npy(file, path.stat().st_size)


def read_npy(file, size: int) -> np.ndarray:
    """Return the array in a binary file of `size` bytes.

    Parameters
    ----------
    file : binary file, at its start
    size : int
        A larger array is refused before memory is allocated for it.

    Raises
    ------
    DamagedArrayError
        If the file is not one complete plain array.
    """
    shape, fortran_order, dtype = read_npy_header(file, size)
    data = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    if file.readinto(data) != data.nbytes:
        raise DamagedArrayError("the file ends within the array")
    if fortran_order:
        return data.view(dtype).reshape(shape[::-1]).transpose()
    return data.view(dtype).reshape(shape)


def read_npy_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return the array in a member of a zip archive; raises as `read_npy` does."""
    content = archive.read(name)
    return read_npy(io.BytesIO(content), len(content))


def read_npy_header(file, size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return (shape, fortran_order, dtype) of the array in a file.

    Raises
    ------
    DamagedArrayError
        If the header is damaged, claims more than `size` bytes, or asks for Python objects.
    """
    try:
        major, _ = npy.read_magic(file)
        shape, fortran_order, dtype = HEADERS[major](file)
    except (*DAMAGE, KeyError) as error:
        raise DamagedArrayError("its array header is damaged") from error
    if dtype.hasobject or dtype.names or not dtype.itemsize:
        raise DamagedArrayError(f"it holds {dtype}, not plain numbers or text")
    claimed, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or claimed > held:
        raise DamagedArrayError(f"its header claims shape {shape}, more than the file holds")
    return shape, fortran_order, dtype
