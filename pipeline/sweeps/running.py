"""The points of a sweep that run now, in any process, as their folders show them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError
from pipeline.files import read_json, write_json
from pipeline.progress import Step, read_step
from pipeline.sweeps.outcome import NAME

BEGUN, STEP = "begun.json", "step.json"
STARTING = Step(stage="starting")


@dataclass(frozen=True, kw_only=True)
class RunningPoint:
    """A point that has begun and not ended.

    Attributes
    ----------
    number : int
        Position in the sweep.
    changed : dict of str to str
        Overrides of the point by their names.
    begun : float
        Seconds since the epoch.
    step : Step
    """

    number: int
    changed: dict[str, str]
    begun: float
    step: Step


def begin_point(folder, number: int, changed: Mapping[str, str]) -> None:
    """Mark a point as running."""
    (Path(folder) / STEP).unlink(missing_ok=True)
    write_json(
        Path(folder) / BEGUN, {"number": number, "changed": dict(changed), "begun": time.time()}
    )


def forget_running(points: Path) -> None:
    """Remove the marks of points that were killed."""
    for path in points.glob(f"*/{BEGUN}"):
        path.unlink(missing_ok=True)


def running_points(points: Path) -> list[RunningPoint]:
    """Return the points in a sweep's folder that run now, in order."""
    found = []
    for path in points.glob(f"*/{BEGUN}"):
        if _time(path) > _time(path.with_name(NAME)):
            with suppress(DataError):  # removed meanwhile
                step = read_step(path.with_name(STEP)) or STARTING
                found.append(RunningPoint(**read_json(path), step=step))
    return sorted(found, key=lambda point: point.number)


def _time(path: Path) -> int:
    """Return when a file was written, in nanoseconds; 0 for none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
