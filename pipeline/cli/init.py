"""``crossgrade init``: make a folder in which the pipeline runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path())
def command(folder: str) -> None:
    """Write conf/, dvc.yaml and a README into FOLDER, a new or an empty one.

    There 'python -m pipeline' and 'dvc repro' train, quantize and evaluate with the installed
    package, which needs the extra 'pipeline'; no checkout is needed. FOLDER's README says how to go
    on.
    """
    from pipeline.packages import advice, is_installed
    from pipeline.project.create import create_project

    names = create_project(folder)
    click.echo(f"{folder}: wrote {', '.join(names)}")
    go = "" if Path(folder).resolve() == Path.cwd() else f"cd {folder} && "
    click.echo(f"run the pipeline: {go}python -m pipeline")
    if not is_installed("dvc"):
        click.echo(f"it {advice('dvc')}", err=True)
