"""``crossgrade diff``: compare two programs."""

from __future__ import annotations

import json

import click

from pipeline.cli.parameters import PATH, load_program, print_notes


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--images", type=PATH, help="Images to run both programs on (.npy).")
@click.option("--labels", type=PATH, help="Classes of the images (.npy, integers).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(a: str, b: str, images: str | None, labels: str | None, as_json: bool) -> None:
    """Compare the programs A and B, of the same or different chips, layer by layer.

    Shows types, shapes, weight widths, memory and multiply-accumulates (MACs). --images adds each
    layer's output sparsity, an estimate of the MACs without operations on zeros, and how often both
    predict the same class; --labels adds accuracies.
    """
    from pipeline.steps.differing import diff

    found = diff(load_program(a), load_program(b), images, labels)
    print_notes(found.notes)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.text((a, b)))
