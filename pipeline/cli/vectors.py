"""``crossgrade vectors``: write golden vectors for other implementations."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, load_program, output_option, parents_option, print_notes


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
    from pipeline.steps.vectors import write

    print_notes(write(load_program(program), images, output))
    click.echo(f"{output}: golden vectors written")
