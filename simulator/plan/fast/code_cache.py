"""Machine code in the user's cache, which survives a reinstallation."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from simulator.atomic_file import finished_files, write_atomically

DIGEST = 32
"""Bytes of the hash in front of the code."""


def cache_file(traits: tuple[str, ...]) -> Path:
    """Return the file of the machine code: its name depends on all that the code depends on.

    Parameters
    ----------
    traits : tuple of str
        Processor and versions; the source of this package is added.
    """
    digest = hashlib.sha256("\n".join(traits).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crossgrade" / f"kernels-{digest.hexdigest()[:32]}.o"


def cached(place: Path) -> bytes | None:
    """Return the code of a file; None if it is missing, damaged, or others may write to it."""
    try:
        status, content = place.stat(), place.read_bytes()
    except OSError:
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    digest, code = content[:DIGEST], content[DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def keep(place: Path, code: bytes) -> None:
    """Write code to a file; without a writable cache the next process compiles again."""
    content = hashlib.sha256(code).digest() + code
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with finished_files():  # of its own: a cache is none of a command's files
            write_atomically(place, lambda file: file.write(content))
    except OSError:
        return
