"""``crossgrade diff``: two programs side by side."""

from __future__ import annotations

import json

import click

from pipeline.cli.parameters import PATH, check_scale


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--images", type=PATH, help="Run both on these (.npy, as both take them).")
@click.option("--labels", type=PATH, help="Classes of the images (.npy, integers).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(a: str, b: str, images: str | None, labels: str | None, as_json: bool) -> None:
    """Compare the programs A and B, of the same chip or not, layer by layer.

    Shows types, shapes, weight widths, memory and multiply-accumulates (MACs). With --images also
    the share of zeros that each layer puts out, the MACs left when zeros cost nothing (an
    estimate), and how often both answer the same; with --labels how often each is right.
    """
    from pipeline.data.array_file import load_array
    from pipeline.evaluation.program_diff import diff
    from pipeline.evaluation.program_diff_table import diff_table
    from simulator import Program

    programs = Program.load(a), Program.load(b)
    loaded, classes = (None if path is None else load_array(path) for path in (images, labels))
    if loaded is not None:
        check_scale(loaded, *programs)
    found = diff(*programs, loaded, classes)
    click.echo(json.dumps(found, indent=2) if as_json else diff_table(found, (a, b)))
