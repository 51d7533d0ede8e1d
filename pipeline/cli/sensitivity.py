"""``crossgrade sensitivity``: what each width of each single layer costs."""

from __future__ import annotations

import json

import click

from pipeline.cli.parameters import PATH, backend_option, output_option, parents_option
from pipeline.cli.searching import given, measured_with_bar, searching_options


@click.command()
@click.argument("model", metavar="FLOAT", type=PATH)
@searching_options
@backend_option
@output_option("-o", "--output", help="Page with a picture to write (.html).")
@parents_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(model, samples, images, labels, input_dtype, target, backend, output, as_json) -> None:
    """Measure what fewer bits cost in each single layer of FLOAT, all others having the widest.

    Loss is the Kullback-Leibler divergence of the classes' probabilities from the float model's;
    for outputs that are no classes, the error's power over their variance. Layers before the one
    that changes run once. The largest losses come first.
    """
    found = measured_with_bar(given(model, samples, images, labels, target, input_dtype), backend)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.text())
    if output is not None:
        found.save(output)
        click.echo(f"{output}: page written", err=True)
