"""``crossgrade describe``: print a float model's layers."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("model")
@click.argument("parameters", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(model: str, parameters: tuple[str, ...], as_json: bool) -> None:
    r"""Print the layers of MODEL: shapes, parameters, multiply-accumulates (MACs).

    MODEL is a file (.h5, .keras, .npz, .yaml) or the name of an architecture, such as akidanet.
    Architectures take PARAMETERS:

    \b
        crossgrade describe akidanet alpha=0.5 input_shape=[224,224,3] classes=1000

    version=1.0 or 2.0 chooses the chip's order of layers; boxes=... belongs to yolo.
    """
    from pipeline.errors import ModelError
    from pipeline.graph.architecture import build_graph
    from pipeline.graph.architecture_file import is_architecture, read_architecture
    from pipeline.graph.describe import describe, layer_table
    from pipeline.models.file import read_float

    if is_architecture(model):
        graph = build_graph(read_architecture(model, parameters))
    elif parameters:
        raise ModelError(
            f"{model}: a file of weights takes no parameters, found '{parameters[0]}'; only"
            " architectures (a name or a .yaml file) do"
        )
    else:
        graph = read_float(model)
    click.echo(json.dumps(layer_table(graph), indent=2) if as_json else describe(graph))
