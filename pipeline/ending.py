"""How commands and stages end with an error: one message, and an exit status."""

from __future__ import annotations

from pipeline.errors import ENTRY, CrossgradeError
from pipeline.messages.lines import wrapped
from pipeline.packages import missing
from simulator.archive import ArchiveError
from simulator.errors import ProgramError

REFUSED, INTERRUPTED = 1, 130
"""Exit statuses of commands and stages."""
EXPECTED = (
    CrossgradeError,
    ProgramError,
    ArchiveError,
    ModuleNotFoundError,
    OSError,
    KeyboardInterrupt,
)
"""Exceptions that end a command or stage with one message; all others are bugs."""


def ending(error: BaseException) -> tuple[str, int]:
    """Return the message and the exit status of a command or stage that fails with `error`.

    Parameters
    ----------
    error : one of `EXPECTED`

    Raises
    ------
    ModuleNotFoundError
        `error` itself, if it is a bug: of no package that a user may leave out.
    """
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; {str(error) or 'nothing was written'}", INTERRUPTED
    if isinstance(error, ModuleNotFoundError):
        return f"this {missing(error)}", REFUSED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", REFUSED
    return "\n".join(map(_wrapped, str(error).splitlines())), REFUSED


def _wrapped(line: str) -> str:
    """Wrap an entry of a list; other lines, which may contain paths, are returned unchanged."""
    return wrapped(line.removeprefix(ENTRY), ENTRY) if line.startswith(ENTRY) else line
