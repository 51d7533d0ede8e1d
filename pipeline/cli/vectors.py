"""``crossgrade vectors``: write golden vectors for other implementations."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, check_scale, load_program, output_option, parents_option


@click.command()
@click.argument("program", type=PATH)
@click.argument("images", type=PATH)
@output_option(
    "-o", "--output", type=click.Path(file_okay=False), required=True, help="Folder to create."
)
@parents_option
def command(program: str, images: str, output: str) -> None:
    """Write the inputs, registers and outputs of every layer of PROGRAM for IMAGES.

    The format is documented in docs/golden_vectors.md; no software of crossgrade is needed to read
    it.
    """
    from pipeline.data.array_file import load_array
    from simulator.vectors import write_vectors

    loaded, batch = load_program(program), load_array(images)
    check_scale(batch, loaded)
    write_vectors(loaded, batch, output)
    click.echo(f"{output}: golden vectors written")
