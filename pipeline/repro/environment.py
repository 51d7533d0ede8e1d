"""Correct the scripts of a virtual environment after its folder was moved.

Run by ``make setup`` as ``python -m pipeline.repro.environment OLD NEW``. Scripts start with the
absolute path of their interpreter.
"""

from __future__ import annotations

import sys
from pathlib import Path

FIRST = 3
"""Lines that may hold the path: after ``#!``, or in a call of the shell if it is long."""


def correct_scripts(folder: Path, old: str, new: str) -> list[str]:
    """Replace `old` by `new` in the first lines of all scripts in a folder; return their names."""
    changed = []
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        lines = content.split(b"\n", FIRST)
        before = b"\n".join(lines[:FIRST])
        after = before.replace(f"{old}/".encode(), f"{new}/".encode())
        if content.startswith(b"#!") and after != before:
            path.write_bytes(b"\n".join([after, *lines[FIRST:]]))
            changed.append(path.name)
    return changed


if __name__ == "__main__":
    found = correct_scripts(Path(sys.executable).parent, *sys.argv[1:3])
    print(f"setup: corrected the paths in {len(found)} scripts")
