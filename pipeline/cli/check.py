"""``crossgrade check``: what keeps a model from a chip."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, target_option


@click.command()
@click.argument("model", type=PATH)
@target_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--fixable", is_flag=True, help="Succeed if 'crossgrade migrate' repairs the rest.")
@click.option("--strict", is_flag=True, help="Fail on the chip's published limits as well.")
@click.pass_context
def command(context, model: str, target: str, as_json: bool, fixable: bool, strict: bool) -> None:
    """List everything in MODEL, a float model, that the target chip cannot run.

    Nothing is trained, quantized or run. Rules of conversion and limits of the hardware are kept
    apart: beyond the latter, a model still runs on the emulator. The exit status is 0 if the model
    is compatible, else 1.
    """
    import json

    from pipeline.compatibility import check
    from pipeline.compatibility.report import COMPATIBLE, FIXABLE
    from pipeline.compatibility.table import table
    from pipeline.migration.model_file import read_float

    report = check(read_float(model), target)
    click.echo(json.dumps(report.as_dict(), indent=1) if as_json else table(report))
    good = report.verdict == COMPATIBLE or (fixable and report.verdict == FIXABLE)
    limits = [v for v in report.hardware if not (fixable and v.fixable)]
    context.exit(0 if good and not (strict and limits) else 1)
