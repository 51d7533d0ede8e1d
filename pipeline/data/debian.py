"""Unpack a Debian package's files without installing it: apt downloads, the rest is Python."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import DataError

MAGIC = b"!<arch>\n"
HEADER = 60


def unpack_package(package: str, folder: str, destination: Path) -> None:
    """Extract the files in `folder` of `package` to `destination`, all or none.

    Parameters
    ----------
    package : str
        Name of a Debian package, fetched with ``apt-get download``.
    folder : str
        Path inside the package, without leading slash.
    destination : path
        New folder, renamed from a complete temporary one.

    Raises
    ------
    DataError
        When there is no apt, it cannot fetch the package, or the package is damaged.
    """
    advice = (
        f"install the Debian package {package}, or set data.path to a folder with its files, or "
        "choose data=digits"
    )
    _unpack((package,), destination, advice, _flat(folder))


def unpack_packages(packages: Sequence[str], destination: Path) -> None:
    """Extract all files of several packages to `destination`, all or none.

    Parameters
    ----------
    packages : sequence of str
        The first one is suggested for installation where they cannot be fetched.
    destination : path
        New folder, renamed from a complete temporary one.

    Raises
    ------
    DataError
        As `unpack_package`.
    """
    advice = f"install the Debian package {packages[0]}, or choose data=digits"
    _unpack(packages, destination, advice, _whole)


def with_missing(package: str) -> tuple[str, ...]:
    """Return `package` and its dependencies that are not installed, according to apt.

    Only `package` where apt is not available.
    """
    command = ["apt-get", "install", "--simulate", "--no-install-recommends", package]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError:
        return (package,)
    planned = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("Inst ")]
    return (package, *(name for name in planned if name != package))


def _unpack(packages, destination, advice, place) -> None:
    names = ", ".join(packages)
    if shutil.which("apt-get") is None:
        raise DataError(f"{names}: this machine has no apt-get to fetch it; {advice}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as work:
        command = ["apt-get", "download", *packages]
        run = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        archives = sorted(Path(work).glob("*.deb"))
        if run.returncode or len(archives) != len(packages):
            reason = " ".join(run.stderr.split()) or f"exit status {run.returncode}"
            raise DataError(f"{names}: apt-get could not fetch it ({reason}); {advice}")
        files = Path(work) / "files"
        files.mkdir()
        try:
            for archive in archives:
                _extract(archive.read_bytes(), files, place)
        except (tarfile.TarError, ValueError, OSError, EOFError) as error:
            raise DataError(f"{names}: damaged package ({error}); {advice}") from error
        shutil.rmtree(destination, ignore_errors=True)
        os.replace(files, destination)


def _extract(package: bytes, destination: Path, place) -> None:
    with tarfile.open(fileobj=io.BytesIO(_member(package, "data.tar"))) as archive:
        for member in archive:
            path = place(Path(member.name.removeprefix("./")))
            if path is None or not (member.isfile() or member.issym()):
                continue
            target = destination / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                # Links in a folder are names of library versions; others are not needed.
                if Path(member.linkname).name == member.linkname:
                    target.symlink_to(member.linkname)
                continue
            target.write_bytes(archive.extractfile(member).read())
            target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _flat(folder):
    """Return the target path of files in one folder; None for other files."""
    return lambda path: Path(path.name) if path.parent == Path(folder) else None


def _whole(path):
    """Return the target path of a file; None for a path that leads outside."""
    return None if path.is_absolute() or ".." in path.parts else path


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
