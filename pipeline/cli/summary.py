"""``crossgrade summary``: a program's layers."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, warn


@click.command()
@click.argument("program", type=PATH)
def command(program: str) -> None:
    """Print the layers of PROGRAM as the vendor's tools do, and what exceeds the chip's limits."""
    from simulator import Program
    from simulator.summary import summary

    loaded = Program.load(program)
    click.echo(summary(loaded), nl=False)
    warn(loaded.notes)
    warn(loaded.limits())
