"""``crossgrade search``: find widths per layer that lose least within a budget."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH
from pipeline.cli.searching import measured, prepared, searching_options


@click.command()
@click.argument("model", metavar="FLOAT", type=PATH)
@searching_options
@click.option(
    "--budget",
    multiple=True,
    metavar="NAME=NUMBER",
    help="weight_kib=64, or macs_bits=...: bits multiplied per image. Repeatable.",
)
@click.option("--max-loss", type=click.FloatRange(0, 1), help="Smallest weights that lose so much.")
@click.option("-o", "--output", type=PATH, help="File of the widths to write (.yaml).")
def command(model, samples, images, labels, target, budget, max_loss, output) -> None:
    """Find bits for the weights and outputs of each layer of FLOAT.

    Each width of each single layer is measured, an integer program chooses among them, and the
    emulator verifies the result. --max-loss is of accuracy with --labels, else the share of images
    whose class changes. The file is read by 'crossgrade quantize --layers', and is a choice of the
    pipeline in conf/quantization/.
    """
    from pipeline.analysis.search import Search
    from pipeline.errors import ConfigError
    from pipeline.packages import require

    require("scipy", "crossgrade search")
    if bool(budget) == (max_loss is not None):
        raise ConfigError("give --budget or --max-loss, and one of them only")
    limits = _budgets(budget)
    variants, inputs, classes = prepared(model, samples, images, labels, target)
    sensitivities = measured(variants, inputs, classes)
    search = Search(variants, sensitivities, inputs, classes)
    found = search.within(limits) if limits else search.least(max_loss)
    rows = [("8 bits everywhere", search.uniform(8)), ("4 bits everywhere", search.uniform(4))]
    click.echo(_text([*rows, ("found", found)]))
    if output is not None:
        from pipeline.files import write_text

        write_text(output, _yaml(found, variants.graph.name))
        click.echo(f"{output}: widths of {len({c.layer for c in found.choices})} layers", err=True)


def _budgets(given) -> dict[str, float]:
    from pipeline.analysis.search import BUDGETS
    from pipeline.errors import ConfigError

    found = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in BUDGETS or not 0 < number < float("inf"):
            raise ConfigError(
                f"--budget: found '{text}'; allowed: {'=NUMBER, '.join(BUDGETS)}=NUMBER, above 0"
            )
        found[name] = number
    return found


def _text(rows) -> str:
    table = [("", "weights, bytes", "bits multiplied", "loss", "same class", "accuracy")]
    for name, found in rows:
        shares = (
            "-" if share is None else f"{share:.2%}"
            for share in (found.score.agreement, found.score.accuracy)
        )
        cost = f"{found.weight_bytes:,}", f"{found.macs_bits:,}"
        table.append((name, *cost, f"{found.score.loss:.5f}", *shares))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in table
    )


def _yaml(found, model: str) -> str:
    import yaml

    layers: dict[str, dict[str, int]] = {}
    for choice in found.choices:
        layers.setdefault(choice.layer, {})[choice.key] = choice.bits
    head = f"# Widths that 'crossgrade search' found for {model}: {found.weight_bytes} bytes.\n"
    values = {"defaults": ["w8a8", "_self_"], "layers": layers}
    return head + yaml.safe_dump(values, sort_keys=False)
