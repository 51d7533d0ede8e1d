"""``crossgrade describe``: a float model's layers."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, load_any


@click.command()
@click.argument("model", type=PATH)
def command(model: str) -> None:
    """Print the layers of MODEL: shapes, parameters, totals."""
    from pipeline.errors import ModelError
    from pipeline.graph.describe import describe
    from pipeline.graph.graph import Graph

    graph = load_any(model)
    if not isinstance(graph, Graph):
        raise ModelError(f"{model}: is quantized; 'describe' shows float models")
    click.echo(describe(graph))
