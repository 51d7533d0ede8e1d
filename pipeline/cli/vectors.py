"""``crossgrade vectors``: golden vectors for other implementations."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, check_scale


@click.command()
@click.argument("program", type=PATH)
@click.argument("images", type=PATH)
@click.option(
    "-o", "--output", type=click.Path(file_okay=False), required=True, help="Folder to make."
)
def command(program: str, images: str, output: str) -> None:
    """Write what every layer of PROGRAM reads, holds and puts out for IMAGES.

    The form is documented in docs/golden_vectors.md and needs no software of ours to read.
    """
    from pipeline.data.array_file import load_array
    from simulator import Program
    from simulator.vectors import write_vectors

    loaded, batch = Program.load(program), load_array(images)
    check_scale(batch, loaded)
    write_vectors(loaded, batch, output)
    click.echo(f"{output}: golden vectors written")
