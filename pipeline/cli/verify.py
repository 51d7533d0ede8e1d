"""``crossgrade verify``: recompute a certificate."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH


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
    from pipeline.migration import verify

    findings = verify(certificate, model=model, output=output, calibration=calibration)
    for finding in findings:
        click.echo(f"{'ok' if finding.good else 'FAILED':<8}{finding.what}: {finding.detail}")
    bad = sum(not finding.good for finding in findings)
    click.echo("the certificate holds" if not bad else f"{bad} of {len(findings)} do not match")
    context.exit(1 if bad else 0)
