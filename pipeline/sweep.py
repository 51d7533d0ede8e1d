"""Run one point of a sweep in its own workspace; points may run side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from pipeline.record import gather
from pipeline.tracking import track
from pipeline.workspace import make_workspace, reproduce

SHARED_STAGE = "transform"
SHARED_SECTIONS = ("model", "data", "training", "transforms", "seed")


def run_point(values: Mapping, root, folder, *, store: str, parent: str) -> float:
    """Run the pipeline for one composed configuration and return the emulator's accuracy.

    Points that share the training wait for one of them to do it; the others take it from the
    cache.

    Parameters
    ----------
    values : mapping
        A composed configuration.
    root, folder : path-like
        The repository, and where to make the workspace.
    store, parent : str
        MLflow's address, and the sweep's run.
    """
    workspace = make_workspace(root, folder, values)
    with FileLock(_lock_path(root, values)):
        reproduce(workspace, SHARED_STAGE, quiet=True)
    reproduce(workspace, "evaluate", quiet=True)
    record = gather(workspace)
    track(record, store, root, parent=parent)
    return record.metrics["evaluate.accuracy"]


def _lock_path(root, values) -> Path:
    shared = json.dumps([values[name] for name in SHARED_SECTIONS], sort_keys=True)
    folder = Path(root) / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"training-{hashlib.sha256(shared.encode()).hexdigest()[:16]}.lock"
