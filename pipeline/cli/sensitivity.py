"""``crossgrade sensitivity``: what each width of each single layer costs."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from pipeline.cli.parameters import PATH, backend_option, output_option, parents_option
from pipeline.cli.searching import measured, prepared, searching_options


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
    found = measured(*prepared(model, samples, images, labels, target, input_dtype), backend)
    click.echo(json.dumps(asdict(found), indent=2) if as_json else _text(found))
    if output is not None:
        from pipeline.analysis.page import sensitivity_page
        from pipeline.files import write_text

        write_text(output, sensitivity_page(found))
        click.echo(f"{output}: page written", err=True)


def _text(found) -> str:
    rows = [("layer", "width", "loss", "same class", "accuracy", "bytes saved")]
    rows += [_row(entry.choice.layer, f"{entry.choice.key}={entry.choice.bits}", entry.increase,
                  entry.score, f"{entry.bytes_saved:,}") for entry in found.ranked]  # fmt: skip
    rows.append(_row("(widest everywhere)", "", found.base.loss, found.base, ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([f"{found.model} on {found.target}, {found.images:,} images", "", *lines])


def _row(layer: str, width: str, loss: float, score, saved: str) -> tuple[str, ...]:
    shares = (
        "-" if share is None else f"{share:.2%}" for share in (score.agreement, score.accuracy)
    )
    return layer, width, f"{loss:.5f}", *shares, saved
