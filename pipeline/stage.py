"""Run a stage: errors in the user's input become one message and exit status 1."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from pipeline.errors import EXPECTED, ending
from pipeline.progress import epoch_line


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
    except EXPECTED as error:
        message, status = ending(error)
        sys.stderr.write(f"{name}: {message}\n")
        sys.exit(status)


def log_epoch(epoch: int, epochs: int, metrics) -> None:
    """Log one epoch of a training; a `pipeline.progress.Progress`."""
    logging.info(epoch_line(epoch, epochs, metrics))
