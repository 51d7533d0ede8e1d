"""Report where a run is: epochs of a training, steps of a stage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import DataError
from pipeline.files import read_json, write_json

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each epoch as ``progress(epoch, epochs, metrics)``; epochs count from 1."""
VARIABLE = "CROSSGRADE_PROGRESS"
"""Environment variable that names the file to which stages write where they are."""
PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where a run is.

    Attributes
    ----------
    stage : str
    done, total : int
        In units of `unit`; 0 where a stage does not count.
    unit : str
        Such as ``epoch``.
    figures : str
        What was measured last.
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    figures: str = ""

    def __str__(self) -> str:
        """Return ``build, epoch 3/15``."""
        return self.stage + (f", {self.unit} {self.done:,}/{self.total:,}" if self.total else "")

    def write(self, path) -> None:
        """Write the step to `path`; progress that cannot be written is no error."""
        with suppress(OSError):
            write_json(path, asdict(self))


def read_step(path) -> Step | None:
    """Return the step in a file, None without one."""
    try:
        return Step(**read_json(path)) if Path(path).is_file() else None
    except DataError:  # removed meanwhile
        return None


def report(step: Step) -> None:
    """Write where a stage is to the file that the environment names, if any."""
    if path := os.environ.get(VARIABLE):
        step.write(path)


class Counter:
    """Reports the steps of a stage, some times a second: ``counter(done, total)``."""

    def __init__(self, stage: str, unit: str):
        self.stage, self.unit, self.last = stage, unit, 0.0

    def __call__(self, done: int, total: int) -> None:
        """Report `done` of `total`."""
        now = time.monotonic()
        if done == total or now - self.last >= PAUSE_SECONDS:
            self.last = now
            report(Step(stage=self.stage, done=done, total=total, unit=self.unit))


def epoch_line(epoch: int, epochs: int, metrics: Mapping[str, float]) -> str:
    """Format one epoch as a line of text."""
    return f"epoch {epoch}/{epochs} {figures_line(metrics)}"


def figures_line(metrics: Mapping[str, float]) -> str:
    """Format the figures of one epoch."""
    return " ".join(f"{name} {value:.4f}" for name, value in metrics.items())
