"""``crossgrade check``: check a float model against a chip's rules and limits."""

from __future__ import annotations

import click

from pipeline.cli.parameters import input_dtype_option, named_model, reading_options, target_option


@click.command()
@click.argument("model")
@click.argument("parameters", nargs=-1)
@target_option
@reading_options
@input_dtype_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--fixable", is_flag=True, help="Succeed if 'crossgrade migrate' repairs every violation."
)
@click.option("--strict", is_flag=True, help="Also fail on the chip's published limits.")
@click.pass_context
def command(
    context,
    model,
    parameters,
    target,
    input_shape,
    until,
    architecture,
    input_dtype,
    as_json,
    fixable,
    strict,
) -> None:
    """List every place in MODEL, a float model, that the target chip cannot run.

    MODEL is a file (.h5, .keras, .onnx, .npz), or an architecture with its PARAMETERS as in
    'crossgrade describe'. Nothing is trained or quantized. Conversion rules and hardware
    limits are listed separately: a model beyond the limits still runs on the emulator. Of a model
    that the chip cannot run whole, the largest part that it can is proposed. The exit status is 0
    if the model is compatible, else 1.
    """
    import json

    from pipeline.chips.check import check
    from pipeline.chips.report import COMPATIBLE, FIXABLE, INCOMPATIBLE
    from pipeline.chips.table import proposal_lines, table
    from pipeline.errors import ModelError
    from pipeline.host.proposal import propose_for, with_proposal
    from pipeline.models.wanted import Wanted

    wanted = Wanted(input_shape=input_shape, until=until, architecture=architecture)
    try:
        graph = named_model(model, parameters, input_shape, until, architecture, input_dtype)
    except ModelError as error:
        raise with_proposal(error, model, wanted, target) from error
    report = check(graph, target)
    found = None
    if report.verdict == INCOMPATIBLE:
        found = propose_for(graph, model, wanted, target)
    if as_json:
        content = {**report.as_dict(), "proposal": found and found.as_dict()}
        click.echo(json.dumps(content, indent=1))
    else:
        click.echo("\n".join([table(report), *proposal_lines(found)]))
    good = report.verdict == COMPATIBLE or (fixable and report.verdict == FIXABLE)
    limits = [v for v in report.hardware if not (fixable and v.fixable)]
    context.exit(0 if good and not (strict and limits) else 1)
