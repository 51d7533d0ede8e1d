"""Unpack a Debian package's files without installing it: apt downloads, the rest is Python."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from pipeline.errors import DataError

MAGIC = b"!<arch>\n"
HEADER = 60


def unpack_package(package: str, folder: str, destination: Path) -> None:
    """Put the files that `package` has in `folder` into `destination`, all or none.

    Parameters
    ----------
    package : str
        Name of a Debian package, fetched with ``apt-get download``.
    folder : str
        Path inside the package, without leading slash.
    destination : path
        New folder, made by renaming a finished one.

    Raises
    ------
    DataError
        When there is no apt, it cannot fetch the package, or the package is damaged.
    """
    advice = (
        f"install the Debian package {package}, or set data.path to a folder with its files, or "
        "choose data=digits"
    )
    if shutil.which("apt-get") is None:
        raise DataError(f"{package}: this machine has no apt-get to fetch it; {advice}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as work:
        run = subprocess.run(
            ["apt-get", "download", package], cwd=work, capture_output=True, text=True, check=False
        )
        archives = list(Path(work).glob("*.deb"))
        if run.returncode or len(archives) != 1:
            reason = " ".join(run.stderr.split()) or f"exit status {run.returncode}"
            raise DataError(f"{package}: apt-get could not fetch it ({reason}); {advice}")
        files = Path(work) / "files"
        files.mkdir()
        try:
            _extract(archives[0].read_bytes(), folder, files)
        except (tarfile.TarError, ValueError, OSError, EOFError) as error:
            raise DataError(f"{package}: damaged package ({error}); {advice}") from error
        shutil.rmtree(destination, ignore_errors=True)
        os.replace(files, destination)


def _extract(package: bytes, folder: str, destination: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(_member(package, "data.tar"))) as archive:
        for member in archive:
            path = Path(member.name.removeprefix("./"))
            if member.isfile() and path.parent == Path(folder):
                (destination / path.name).write_bytes(archive.extractfile(member).read())


def _member(package: bytes, prefix: str) -> bytes:
    """Return the member of an ``ar`` archive whose name starts with `prefix`."""
    if not package.startswith(MAGIC):
        raise ValueError("not an ar archive")
    position = len(MAGIC)
    while position + HEADER <= len(package):
        header = package[position : position + HEADER].decode("ascii")
        name, size = header[:16].strip(), int(header[48:58])
        position += HEADER
        if name.startswith(prefix):
            return package[position : position + size]
        position += size + size % 2
    raise ValueError(f"no member {prefix}")
