"""``crossgrade sweeps``: list the folders of sweeps, and remove those that are recorded."""

from __future__ import annotations

import os

import click


@click.command()
@click.argument("folders", nargs=-1, type=click.Path())
@click.option(
    "--remove",
    is_flag=True,
    help="Remove FOLDERS; without any, all sweeps that are complete and recorded in MLflow.",
)
def command(folders: tuple[str, ...], remove: bool) -> None:
    """List the sweeps in ./multirun, with the disk space that their removal frees.

    Their runs stay in MLflow, and results of stages in DVC's cache. A removed sweep that was
    interrupted, or is not recorded, starts anew. Running ones are not removed.
    """
    from pathlib import Path

    from pipeline.errors import ConfigError
    from pipeline.sweeps import disk
    from pipeline.sweeps.sweep import HEADER, load_sweep, sweeps
    from pipeline.tracking.results import align

    if strange := [folder for folder in folders if not Path(folder, HEADER).is_file()]:
        raise ConfigError(f"{', '.join(strange)}: no sweep there; 'crossgrade sweeps' lists them")
    found = [load_sweep(folder) for folder in folders] or sweeps(Path.cwd())
    states = [disk.state(sweep) for sweep in found]
    if not remove:
        rows = [("folder", "state", "frees", "sweep")]
        for sweep, state in zip(found, states, strict=True):
            frees = disk.megabytes(disk.freed_bytes(sweep.folder))
            rows.append((_shown(sweep.folder), state, frees, sweep.name.removeprefix("sweep ")))
        click.echo(align(rows) if found else "there are no sweeps in multirun/")
        return
    freed = 0
    for sweep, state in zip(found, states, strict=True):
        if state == disk.RECORDED or (folders and state != disk.RUNNING):
            freed += disk.remove(sweep)
            click.echo(f"{_shown(sweep.folder)}: removed")
        else:
            click.echo(f"{_shown(sweep.folder)}: kept, since it is {state}")
    click.echo(f"freed {disk.megabytes(freed)}")


def _shown(folder: str) -> str:
    """Return a path relative to the current folder, where that is shorter."""
    return min(folder, os.path.relpath(folder), key=len)
