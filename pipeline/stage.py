"""Run a stage: errors of the user's making become one clear message and exit status 1."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable

from pipeline.errors import CrossgradeError
from pipeline.messages.lines import wrapped
from pipeline.messages.notes import Note
from pipeline.progress import epoch_line
from simulator.archive import ArchiveError
from simulator.errors import ProgramError

WIDTH = 84
"""Columns of a note, which leaves some for the name of the stage."""
REFUSED, INTERRUPTED = 1, 130


def run(name: str, function: Callable[[], None]) -> None:
    """Call `function`, and exit with a message when it refuses or is interrupted.

    Parameters
    ----------
    name : str
        Stands before the message.
    function : function
        Its files appear whole or not at all; it may raise what this package's errors are.
    """
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s", stream=sys.stdout)
    try:
        function()
    except (CrossgradeError, ProgramError, ArchiveError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(REFUSED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"{name}: {where}{error.strerror or error}\n")
        sys.exit(REFUSED)
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"{name}: interrupted; {str(stop) or 'nothing was written'}\n")
        sys.exit(INTERRUPTED)


def log_notes(notes: Iterable[Note]) -> None:
    """Log notes, and warnings as warnings."""
    for note in notes:
        level = logging.WARNING if note.is_warning else logging.INFO
        logging.log(level, "%s", wrapped(note.text, "warning: " if note.is_warning else "", WIDTH))


def log_epoch(epoch: int, epochs: int, metrics) -> None:
    """Tell of one epoch of a training, as a `pipeline.progress.Progress`."""
    logging.info(epoch_line(epoch, epochs, metrics))
