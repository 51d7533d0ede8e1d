"""``crossgrade export``: write a quantized model in a format of another tool."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, load_any, print_notes, verbose_option
from pipeline.formats.table import EXPORTS


@click.command()
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="File to write.")
@click.option(
    "--format",
    "name",
    type=click.Choice(list(EXPORTS)),
    help="quantizeml for Akida 2.0, cnn2snn for 1.0's own scheme.  [default: the model's scheme]",
)
@verbose_option
def command(model: str, output: str, name: str | None, verbose: bool) -> None:
    """Write MODEL, a quantized model, in a format that BrainChip's packages load.

    MODEL is a file of 'crossgrade quantize', or a Keras .h5 file quantized by QuantizeML or
    cnn2snn. The file holds every integer of MODEL, or none is written: nothing is quantized again.
    """
    from pipeline.errors import ModelError
    from pipeline.exporters.formats import export
    from pipeline.files import file_sha256
    from pipeline.graph.graph import Graph
    from pipeline.quantization.integers import integers

    loaded = load_any(model)
    if isinstance(loaded, Graph):
        raise ModelError(
            f"{model}: is a float model; quantize it first: crossgrade quantize {model} -o Q.npz"
        )
    quantized = integers(loaded)
    print_notes(export(output, quantized, name or quantized.scheme), verbose=verbose)
    click.echo(f"{output}: {quantized.name} for {name or quantized.scheme}")
    click.echo(f"sha256 {file_sha256(output)}")
