"""The disk space of sweeps: what their removal would free, and removing them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.sweeps.recorder import is_recorded
from pipeline.sweeps.sweep import Sweep, is_running

RECORDED, RUNNING = "recorded", "running"
BLOCK = 512
"""Unit of ``st_blocks``, whatever the disk's own."""


def freed_bytes(folder) -> int:
    """Return what removing a folder frees: not files that have links elsewhere, as in DVC's cache.

    Returns
    -------
    int
        Bytes of whole blocks.
    """
    inside: dict[tuple[int, int], int] = {}
    total = 0
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *names)):
            try:
                found = path.lstat()
            except FileNotFoundError:  # the sweep is running
                continue
            if path.is_dir() or found.st_nlink == 1:
                total += found.st_blocks * BLOCK
                continue
            key = found.st_dev, found.st_ino
            inside[key] = inside.get(key, 0) + 1
            if inside[key] == found.st_nlink:
                total += found.st_blocks * BLOCK
    return total


def state(sweep: Sweep) -> str:
    """Return how far a sweep is: ``running``, ``interrupted``, ``not recorded`` or ``recorded``."""
    if is_running(sweep):
        return RUNNING
    if not sweep.complete:
        return "interrupted"
    return RECORDED if is_recorded(sweep) else "not recorded"


def remove(sweep: Sweep) -> int:
    """Remove the folder of a sweep; return how many bytes that freed."""
    freed = freed_bytes(sweep.folder)
    shutil.rmtree(sweep.folder)
    return freed


def megabytes(count: int) -> str:
    """Return a number of bytes as text."""
    return f"{count / 1e6:.1f} MB"
