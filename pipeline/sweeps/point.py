"""Run one sweep point in its own workspace; stages shared with other points run once."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.config import check
from pipeline.errors import ConfigError
from pipeline.progress import Step
from pipeline.repro.workspace import (
    StageFailed,
    StageRefused,
    make_workspace,
    reproduce,
    stages_done,
)
from pipeline.sweeps.outcome import FAILED, FINISHED, REFUSED, Outcome, load_outcome
from pipeline.sweeps.running import STEP, begin_point
from pipeline.sweeps.stage_keys import stage_keys
from pipeline.sweeps.sweep import Sweep
from pipeline.tracking.record import flatten, measured, text_params

FRONT = os.getppid()
"""Process that started this one, while it lives."""
SHARED = ("build", "transform", "quantize")
"""Stages that several points may share; later ones differ in every point."""


def run_point(sweep: Sweep, values: Mapping, *, number: int, changed: Sequence[str]) -> Outcome:
    """Run the pipeline for one composed configuration; return the outcome.

    A finished or refused point is not run again, so that a sweep can be interrupted and resumed
    at any time. Impossible points are refused, without an exception.

    Parameters
    ----------
    sweep : Sweep
    values : mapping
        A composed configuration.
    number : int
        Position in the sweep.
    changed : sequence of str
        Overrides of this point.
    """
    key = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
    folder = sweep.points / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        outcome = load_outcome(folder)
        if outcome is None or outcome.state == FAILED:
            outcome = _run(sweep, values, folder, number, changed)
            outcome.save(folder)
    _end_with_front()
    return outcome


def _end_with_front() -> None:
    """End a worker whose parent was killed: nothing reads its results any more.

    Otherwise it would wait forever to write to the pipe.
    """
    is_worker = multiprocessing.current_process().name != "MainProcess"
    if is_worker and os.getppid() != FRONT:
        os._exit(1)


def _run(sweep, values, folder, number, changed) -> Outcome:
    start = time.monotonic()
    reason, metrics, state = "", {}, FINISHED
    by_name = dict(override.lstrip("+").split("=", 1) for override in changed)
    begin_point(folder, number, by_name)
    try:
        check(values)
        workspace = _workspace(sweep, values, folder)
        _reproduce(sweep, workspace, values, folder / STEP)
        metrics = measured(workspace)
    except (ConfigError, StageRefused) as error:
        state, reason = REFUSED, str(error)
    except StageFailed as error:
        state, reason = FAILED, str(error)
    return Outcome(
        number=number,
        state=state,
        changed=by_name,
        params=text_params(flatten(values)),
        metrics=metrics,
        reason=reason,
        seconds=round(time.monotonic() - start, 3),
    )


def _workspace(sweep, values, folder) -> Path:
    """Recreate the workspace; leftovers of a killed process are removed first."""
    for old in (folder / "workspace", *folder.glob("removed-*")):
        if old.exists():
            # Renamed first, so that a process still running there finds no folder to write to.
            gone = folder / f"removed-{os.getpid()}-{time.monotonic_ns()}"
            old.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
    return make_workspace(sweep.code, folder / "workspace", values, root=sweep.root)


def _reproduce(sweep, workspace, values, progress) -> None:
    """Run all stages; points that share a stage wait only until it is done."""
    keys = stage_keys(sweep.code, values)
    held: dict[str, tuple[FileLock, Path]] = {}
    with ExitStack() as locks:
        for stage in SHARED:
            name = f"{stage}-{keys[stage][:16]}"
            done = sweep.shared / name
            if done.exists():
                continue
            lock = FileLock(sweep.locks / f"{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                Step(stage=f"waiting for {stage} of another point").write(progress)
                lock.acquire()
            locks.callback(lock.release)
            if done.exists():  # another point ran it while this one waited
                lock.release()
            else:
                held[stage] = (lock, done)

        def release() -> None:
            for stage in stages_done(workspace) & held.keys():
                lock, done = held.pop(stage)
                done.touch()
                lock.release()

        release_done = release if held else None
        wanted = ("evaluate", *(["analyze"] if values["analyze"]["sweeps"] else []))
        reproduce(workspace, *wanted, quiet=True, watch=release_done, progress=progress)
