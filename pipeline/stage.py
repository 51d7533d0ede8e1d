"""Run a stage: errors in the user's input become one message and exit status 1."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from pipeline.errors import CrossgradeError
from pipeline.progress import epoch_line
from simulator.archive import ArchiveError
from simulator.errors import ProgramError

REFUSED, INTERRUPTED = 1, 130


def run(name: str, function: Callable[[], None]) -> None:
    """Call `function`, and exit with a message when it refuses or is interrupted.

    Parameters
    ----------
    name : str
        Prefix of the message.
    function : function
        Writes its files atomically; may raise this package's errors.
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


def log_epoch(epoch: int, epochs: int, metrics) -> None:
    """Log one epoch of a training; a `pipeline.progress.Progress`."""
    logging.info(epoch_line(epoch, epochs, metrics))
