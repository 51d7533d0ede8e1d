"""How commands and stages end with an error: one message, and an exit status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ENTRY, CrossgradeError
from pipeline.messages.lines import wrapped
from pipeline.packages import missing
from simulator.archive import ArchiveError
from simulator.errors import ProgramError

REFUSED, INTERRUPTED = 1, 130
"""Exit statuses of commands and stages."""
NAMED = 3
"""Complete files that an interrupted command names."""
EXPECTED = (
    CrossgradeError,
    ProgramError,
    ArchiveError,
    ModuleNotFoundError,
    OSError,
    KeyboardInterrupt,
)
"""Exceptions that end a command or stage with one message; all others are bugs."""


def ending(error: BaseException, finished: Sequence[Path] = ()) -> tuple[str, int]:
    """Return the message and the exit status of a command or stage that fails with `error`.

    Parameters
    ----------
    error : one of `EXPECTED`
    finished : sequence of Path
        Files that it wrote before, see `simulator.atomic_file.finished_files`.

    Raises
    ------
    ModuleNotFoundError
        `error` itself, if it is a bug: of no package that a user may leave out.
    """
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; {str(error) or _written(finished)}", INTERRUPTED
    if isinstance(error, ModuleNotFoundError):
        return f"this {missing(error)}", REFUSED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", REFUSED
    return "\n".join(map(_wrapped, str(error).splitlines())), REFUSED


def _written(finished) -> str:
    """Return which files an interrupted command leaves; temporary ones are gone."""
    paths = [str(path) for path in dict.fromkeys(finished) if path.exists()]
    if not paths:
        return "nothing was written"
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"complete: {', '.join(paths[:NAMED])}{more}; nothing else was written"


def _wrapped(line: str) -> str:
    """Wrap an entry of a list; other lines, which may contain paths, are returned unchanged."""
    return wrapped(line.removeprefix(ENTRY), ENTRY) if line.startswith(ENTRY) else line
