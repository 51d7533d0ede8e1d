"""Read HDF5 files of unknown origin: bounded memory, no external files, one-line errors."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import ModelError

# Keras stores weights uncompressed: a file that claims much more than it holds is damaged or made
# to exhaust memory. The allowance covers small compressed models.
EXPANSION, ALLOWANCE = 16, 1 << 24
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError)


@contextmanager
def open_hdf5(source: Path | io.BytesIO, label: str) -> Iterator[h5py.File]:
    """Open an HDF5 file or buffer for reading.

    Parameters
    ----------
    source : Path or BytesIO
    label : str
        Name of the file for messages.

    Raises
    ------
    ModelError
        When the file cannot be read as HDF5.
    """
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise ModelError(
            f"{label}: HDF5 data is truncated or damaged; copy or download the file again"
        ) from error
    with file:
        yield file


class DamagedFileError(ModelError):
    """The file itself is at fault, not one of its layers."""


class ArrayReader:
    """Read arrays of one file, at most a small multiple of its size in all.

    Parameters
    ----------
    label : str
        Name of the file for messages.
    size : int
        Size of the file in bytes.
    """

    def __init__(self, label: str, size: int):
        self.label = label
        self.budget = EXPANSION * size + ALLOWANCE

    def read(self, group: h5py.Group, name: str) -> np.ndarray:
        """Return the float32 array stored at `name`, a path inside `group`.

        Raises
        ------
        DamagedFileError
            When it is missing, no float array, larger than the file can hold, outside of the
            file, or holds values that are not finite.
        """
        try:
            dataset = _hard_linked(group, name)
        except DAMAGE as error:
            raise DamagedFileError(
                f"{self.label}: weight '{name}' is missing or damaged"
            ) from error
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
            found = dataset.dtype if isinstance(dataset, h5py.Dataset) else "a group"
            raise DamagedFileError(
                f"{self.label}: weight '{name}' is {found}; weights are float arrays"
            )
        if dataset.external or dataset.is_virtual:
            raise DamagedFileError(
                f"{self.label}: weight '{name}' lies in another file; save it again"
            )
        self.budget -= dataset.size * dataset.dtype.itemsize
        if self.budget < 0:
            raise DamagedFileError(
                f"{self.label}: weight '{name}' claims the shape {dataset.shape}, more than the"
                " file can hold; the file is damaged"
            )
        try:
            # A value beyond float32 becomes infinite, which is refused below.
            with np.errstate(over="ignore"):
                array = np.asarray(dataset[()], np.float32)
        except DAMAGE as error:
            raise DamagedFileError(f"{self.label}: weight '{name}' cannot be read") from error
        if not np.isfinite(array).all():
            raise DamagedFileError(
                f"{self.label}: weight '{name}' holds values that are not finite; train again"
            )
        return array


def _hard_linked(group, name):
    """Return the object at `name`, refusing soft and external links on the way."""
    for part in name.split("/"):
        if not part:
            continue
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise KeyError(part)
        group = group[part]
    return group


def text_attribute(file: h5py.File, name: str, label: str) -> str | None:
    """Return a text attribute of the file's root; None when there is none."""
    try:
        value = file.attrs.get(name)
    except DAMAGE as error:
        raise DamagedFileError(f"{label}: its attribute '{name}' cannot be read") from error
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if value is not None and not isinstance(value, str):
        raise DamagedFileError(f"{label}: its attribute '{name}' is not text; the file is damaged")
    return value


def text_list(group: h5py.Group, name: str) -> list[str]:
    """Return a list of text from an attribute; Keras splits long ones over `name`0, 1..."""
    if name in group.attrs:
        chunks = [group.attrs[name]]
    else:
        chunks, number = [], 0
        while f"{name}{number}" in group.attrs:
            chunks.append(group.attrs[f"{name}{number}"])
            number += 1
    return [
        item.decode("utf-8") if isinstance(item, bytes) else str(item)
        for chunk in chunks
        for item in chunk
    ]
