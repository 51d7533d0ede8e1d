"""Atomic writing of files: under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

_finished: ContextVar[list[Path] | None] = ContextVar("finished", default=None)


@contextmanager
def finished_files() -> Iterator[list[Path]]:
    """Collect the paths of files and folders that get their names within the context."""
    paths: list[Path] = []
    token = _finished.set(paths)
    try:
        yield paths
    finally:
        _finished.reset(token)


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside `path` that nothing has.

    It is known before the file exists, so that whoever is interrupted while making it can remove
    it; of 64 random bits none occur twice.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def finish(temporary, path: Path) -> None:
    """Give a complete file or folder its name."""
    os.replace(temporary, path)
    if (paths := _finished.get()) is not None:
        paths.append(path)


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
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.chmod(0o644)
        finish(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
