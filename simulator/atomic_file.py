"""Atomic writing of files: to a temporary file in the same folder, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def check_folder(path) -> None:
    """Raise FileNotFoundError if the folder of a file to write does not exist."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder; create it first", str(folder))


def write_atomically(path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically.

    Parameters
    ----------
    path : path-like
        Its folder must exist. Unchanged if `write` fails or is interrupted.
    write : function (file)
        Writes the content to an open binary file; may raise.

    Raises
    ------
    FileNotFoundError
        Naming the folder, if there is none.
    """
    path = Path(path)
    check_folder(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
