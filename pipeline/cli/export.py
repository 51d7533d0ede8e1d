"""``crossgrade export``: write a quantized model in a format of another tool."""

from __future__ import annotations

import click

from pipeline.cli.parameters import (
    PATH,
    output_option,
    parents_option,
    print_notes,
    say,
    verbose_option,
)
from pipeline.formats.table import EXPORTS


@click.command()
@click.argument("model", type=PATH)
@output_option("-o", "--output", required=True, help="File to write.")
@parents_option
@click.option(
    "--format",
    "name",
    type=click.Choice(list(EXPORTS)),
    help="quantizeml for Akida 2.0, cnn2snn for 1.0's own scheme, onnx for a chip's integers in"
    " standard operators.  [default: the model's scheme; onnx for programs and .onnx]",
)
@click.option("--target", help="Chip whose program becomes ONNX; by default the newest.")
@click.option(
    "--certificate",
    type=click.Path(),
    help="Certificate of the migration that MODEL comes from: name OUTPUT and its hash there.",
)
@verbose_option
def command(model, output, name, target, certificate, verbose) -> None:
    """Write MODEL, a quantized model or a program, in a format of other tools.

    MODEL is a file of 'crossgrade quantize' or 'crossgrade convert', or a Keras .h5 file quantized
    by QuantizeML or cnn2snn. The file holds every integer of MODEL, or none is written: nothing is
    quantized again.
    """
    from pipeline.files import file_sha256
    from pipeline.steps.exporting import exported

    found = exported(model, output, name, target=target, certificate=certificate)
    print_notes(found.notes, verbose=verbose)
    say(f"{output}: {found.label} for {found.format}")
    click.echo(f"sha256 {file_sha256(output)}")
