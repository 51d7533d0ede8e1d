"""Read and write arrays with a JSON header as one byte-reproducible ``.npz`` file.

The file is an ordinary zip of ``.npy`` members plus ``header.json``: `numpy.load` opens it, and
no part of it is ever unpickled. Members carry a fixed date, so equal content gives equal bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simulator.atomic_file import write_atomically
from simulator.errors import UserError
from simulator.malformed import MALFORMED, brief
from simulator.npy import read_npy_member

HEADER = "header.json"
EXPANSION, ALLOWANCE = 64, 1 << 28
"""An archive may unpack to ``EXPANSION`` times its size plus ``ALLOWANCE`` bytes.

The allowance is for small files full of zeros, which compress by more than that factor.
"""
EPOCH = (1980, 1, 1, 0, 0, 0)

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # an encrypted member, or a compression that zipfile does not know
    *MALFORMED,
)
"""Exceptions that a damaged archive may raise while it is read."""


class ArchiveError(UserError):
    """A file is missing, damaged, or not an archive of the expected kind."""


def write_archive(path, header: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `header` and `arrays` to `path` atomically.

    Parameters
    ----------
    path : path-like
        Its folder is created if missing.
    header : mapping
        JSON values; must contain ``kind``, the kind of archive.
    arrays : mapping of str to array
        Names may contain ``/``.

    Raises
    ------
    ValueError
        If an array has dtype object, or a header value is NaN or infinite.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(file) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
            archive.writestr(_member(HEADER), text)
            for name in sorted(arrays):
                buffer = io.BytesIO()
                array = np.ascontiguousarray(arrays[name]).reshape(np.shape(arrays[name]))
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                archive.writestr(_member(name + ".npy"), buffer.getvalue())

    write_atomically(path, write)


def read_archive(path, kind: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the header and the arrays of an archive.

    Parameters
    ----------
    path : path-like
    kind : str
        Required value of the header's ``kind``.

    Returns
    -------
    header : dict
    arrays : dict of str to array

    Raises
    ------
    ArchiveError
        If the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise ArchiveError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(path, archive)
            header = json.loads(archive.read(HEADER))
            arrays = {
                name.removesuffix(".npy"): read_npy_member(archive, name)
                for name in archive.namelist()
                if name != HEADER
            }
    except DAMAGE as error:
        raise ArchiveError(
            f"{path}: not a readable crossgrade {kind} file ({brief(error)}); make it again"
        ) from error
    found = header.get("kind") if isinstance(header, dict) else None
    if found != kind:
        raise ArchiveError(f"{path}: is a {found or 'file of unknown kind'}, expected a {kind}")
    return header, arrays


def archive_kind(path) -> str | None:
    """Return the kind of the archive at `path`; None if it is not a crossgrade archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(Path(path), archive)
            return json.loads(archive.read(HEADER)).get("kind")
    except DAMAGE:
        return None


def _check_size(path: Path, archive: zipfile.ZipFile) -> None:
    claimed = sum(member.file_size for member in archive.infolist())
    if claimed > EXPANSION * path.stat().st_size + ALLOWANCE:
        raise ValueError(f"it claims to unpack to {claimed} bytes")


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info
