"""Run a stage: errors in the user's input become one message and exit status 1."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable

from pipeline.ending import EXPECTED, ending
from pipeline.messages.lines import wrapped, wrapped_lines
from pipeline.messages.notes import Note
from pipeline.progress import Step, epoch_line, figures_line, report
from simulator.atomic_file import finished_files
from simulator.quiet_interrupt import raise_again

WIDTH = 84
"""Columns of a note, which leaves some for the name of the stage."""


def run(name: str, function: Callable[[], None]) -> None:
    """Call `function`, and exit with a message when it refuses or is interrupted.

    Parameters
    ----------
    name : str
        Prefix of the message.
    function : function
        Writes its files atomically; may raise this package's errors.
    """
    with finished_files() as finished:
        try:
            raise_again()
            report(Step(stage=name))
            logging.basicConfig(
                level=logging.INFO, format=f"{name}: %(message)s", stream=sys.stdout
            )
            function()
        except EXPECTED as error:
            message, status = ending(error, finished)
            sys.stderr.write(wrapped_lines(f"{name}: {message}") + "\n")
            sys.exit(status)


def log_notes(notes: Iterable[Note]) -> None:
    """Log notes, and warnings as warnings."""
    for note in notes:
        level = logging.WARNING if note.is_warning else logging.INFO
        logging.log(level, "%s", wrapped(note.text, "warning: " if note.is_warning else "", WIDTH))


class EpochLog:
    """Logs each epoch of a training with the time left; a `pipeline.progress.Progress`."""

    def __init__(self, stage: str):
        self.stage, self.start = stage, time.monotonic()

    def __call__(self, epoch: int, epochs: int, metrics) -> None:
        """Log and report one epoch."""
        left = (time.monotonic() - self.start) / epoch * (epochs - epoch)
        logging.info("%s, %.0f s left", epoch_line(epoch, epochs, metrics), left)
        figures = figures_line(metrics)
        report(Step(stage=self.stage, done=epoch, total=epochs, unit="epoch", figures=figures))
