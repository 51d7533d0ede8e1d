"""The progress bar of commands whose work reports steps done and their total."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

PARTS = 1000


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with time left on standard error; yield a function of (steps done, total)."""
    with click.progressbar(length=PARTS, label=label, file=sys.stderr) as bar:
        yield lambda done, total: bar.update(round(PARTS * done / total) - bar.pos)
