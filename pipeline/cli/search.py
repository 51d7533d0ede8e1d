"""``crossgrade search``: find widths per layer that lose least within a budget."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, backend_option, output_option, parents_option, say
from pipeline.cli.searching import measured, prepared, searching_options


@click.command()
@click.argument("model", metavar="FLOAT", type=PATH)
@searching_options
@click.option(
    "--budget",
    multiple=True,
    metavar="NAME=NUMBER",
    help="weight_kib=64; macs_bits=...: bits multiplied per image; activation_kib=...: largest"
    " memory of the maps that exist together. Repeatable.",
)
@click.option("--max-loss", type=click.FloatRange(0, 1), help="Smallest weights that lose so much.")
@backend_option
@output_option("-o", "--output", help="File of the widths to write (.yaml).")
@parents_option
def command(
    model, samples, images, labels, input_dtype, target, budget, max_loss, backend, output
) -> None:
    """Find bits for the weights and outputs of each layer of FLOAT.

    Each width of each single layer is measured, an integer program chooses among them, and the
    emulator verifies and repairs the result; limits of the chip hold throughout. --max-loss is of
    accuracy with --labels, else the share of images whose class changes. The file is read by
    'crossgrade quantize --layers', and is a choice of the pipeline in conf/quantization/.
    """
    from pipeline.analysis.budget import parsed
    from pipeline.analysis.search import Search
    from pipeline.errors import ConfigError
    from pipeline.packages import require

    require("scipy", "crossgrade search")
    if bool(budget) == (max_loss is not None):
        raise ConfigError("give --budget or --max-loss, and one of them only")
    limits = parsed(budget)
    variants, inputs, classes = prepared(model, samples, images, labels, target, input_dtype)
    sensitivities = measured(variants, inputs, classes, backend)
    for choice, reason in sensitivities.refused:
        say(f"{choice.layer}: {choice.key}={choice.bits} is left out: {reason}", err=True)
    search = Search(
        variants, sensitivities, inputs, classes, backend=backend,
        progress=lambda line: click.echo(line, err=True),
    )  # fmt: skip
    found = search.within(limits) if limits else search.least(max_loss)
    click.echo(_text([*_uniform(search), ("found", found)]))
    if output is not None:
        from pipeline.analysis.found_file import found_yaml
        from pipeline.files import write_text

        write_text(output, found_yaml(variants, found))
        click.echo(f"{output}: widths of {len({c.layer for c in found.choices})} layers", err=True)


def _uniform(search):
    """Return the widths that are the same everywhere, the widest first, for the table."""
    widths = sorted({bits for options in search.losses.values() for bits in options}, reverse=True)
    rows = [(f"{bits} bits everywhere", search.uniform(bits)) for bits in widths]
    return [(name, found) for name, found in rows if found is not None]


def _text(rows) -> str:
    table = [
        ("", "weights, bytes", "bits multiplied", "maps, bytes", "loss", "same class", "accuracy")
    ]
    for name, found in rows:
        shares = (
            "-" if share is None else f"{share:.2%}"
            for share in (found.score.agreement, found.score.accuracy)
        )
        costs = (
            f"{value:,}"
            for value in (
                found.cost.weight_bytes, found.cost.macs_bits, found.cost.activation_bytes,
            )
        )  # fmt: skip
        table.append((name, *costs, f"{found.score.loss:.5f}", *shares))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in table
    )
