"""``crossgrade verify``: recompute a certificate."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, say


@click.command()
@click.argument("certificate", type=click.Path())
@click.option("--model", type=PATH, help="The original model, if it has moved.")
@click.option("--output", type=PATH, help="The migrated model, if it has moved.")
@click.option("--calibration", type=PATH, help="The samples (.npy), if they have moved.")
@click.pass_context
def command(context, certificate: str, model, output, calibration) -> None:
    """Recompute CERTIFICATE, a file of 'crossgrade migrate', and compare.

    Recomputes the hashes of both models, the target's rules, and the outputs on the certified
    samples. The exit status is 0 if everything matches, else 1.
    """
    from pipeline.steps.verifying import verify

    found = verify(certificate, model=model, output=output, calibration=calibration)
    say("\n".join(found.lines()))
    context.exit(0 if found.holds else 1)
