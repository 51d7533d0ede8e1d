"""``crossgrade describe``: print a model's layers."""

from __future__ import annotations

import json

import click

from pipeline.cli.parameters import named_model, reading_options


@click.command()
@click.argument("model")
@click.argument("parameters", nargs=-1)
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    model: str, parameters: tuple[str, ...], input_shape, until, architecture, as_json: bool
) -> None:
    r"""Print the layers of MODEL: shapes, parameters, multiply-accumulates (MACs).

    MODEL is a file (.h5, .keras, .onnx, .npz, .yaml) or the name of an architecture, such as
    akidanet. Architectures take PARAMETERS:

    \b
        crossgrade describe akidanet alpha=0.5 input_shape=[224,224,3] classes=1000

    version=1.0 or 2.0 chooses the chip's order of layers; boxes=... belongs to yolo. Of a file of
    'crossgrade quantize' the table has the bit widths of weights and outputs.
    """
    from pipeline.quantization.archive import KIND
    from simulator.archive import archive_kind

    if archive_kind(model) == KIND:
        click.echo(_quantized(model, parameters, input_shape, until, as_json))
        return
    from pipeline.graph.describe import describe, layer_table

    graph = named_model(model, parameters, input_shape, until, architecture)
    click.echo(json.dumps(layer_table(graph), indent=2) if as_json else describe(graph))


def _quantized(model, parameters, input_shape, until, as_json) -> str:
    from pipeline.errors import ModelError
    from pipeline.quantization.archive import load_quantized
    from pipeline.quantization.describe import describe_quantized, quantized_table

    if parameters or input_shape or until:
        raise ModelError(f"{model}: is quantized; it takes no parameters, --input-shape or --until")
    graph = load_quantized(model)
    return json.dumps(quantized_table(graph), indent=2) if as_json else describe_quantized(graph)
