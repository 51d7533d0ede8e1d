"""``crossgrade track``: record runs that could not be recorded in MLflow before."""

from __future__ import annotations

import click

from pipeline.cli.parameters import say


@click.command()
@click.option("--resume", is_flag=True, help="Record them; without it, only list them.")
@click.option("--store", help="MLflow's address, if not the original one.")
def command(resume: bool, store: str | None) -> None:
    """List, or record, runs and sweeps of this repository that MLflow does not have yet.

    Runs are kept if a tracking server does not respond, or if a sweep is killed. Each one is
    recorded once, even if a part of it was recorded before.
    """
    from dataclasses import replace
    from pathlib import Path

    from pipeline.packages import require

    require("mlflow", "crossgrade track")
    from pipeline.sweeps.recorder import is_recorded, record_sweep
    from pipeline.sweeps.sweep import is_running, sweeps
    from pipeline.tracking.outbox import discard, kept
    from pipeline.tracking.store import track

    root, waiting = Path.cwd(), 0
    for folder, record, meant in kept(root):
        waiting += 1
        if resume:
            say(f"{record.name}: {track(record, store or meant).message}")
            discard(folder)
        else:
            say(f"{record.name}: kept in {folder} for {meant}")
    for sweep in sweeps(root):
        if is_recorded(sweep):
            continue
        waiting += 1
        if is_running(sweep):
            say(f"{sweep.name}: is running and records itself")
        elif resume:
            chosen = replace(sweep, store=store or sweep.store, root=str(root))
            run_id = record_sweep(chosen)
            say(f"{sweep.name}: recorded in MLflow as run {run_id}")
        else:
            say(f"{sweep.name}: kept in {sweep.folder} for {sweep.store}")
    if not waiting:
        say("everything is recorded")
    elif not resume:
        say("'crossgrade track --resume' records them")
