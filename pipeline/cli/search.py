"""``crossgrade search``: find widths per layer that lose least within a budget."""

from __future__ import annotations

from functools import partial

import click

from pipeline.cli.parameters import (
    PATH,
    backend_option,
    output_option,
    parents_option,
    print_notes,
    say,
)
from pipeline.cli.searching import given, measured_with_bar, searching_options
from pipeline.messages.lines import counted


@click.command()
@click.argument("model", metavar="FLOAT", type=PATH)
@searching_options
@click.option(
    "--budget",
    multiple=True,
    metavar="NAME=NUMBER",
    help="weight_kib=64; activation_kib=...: largest memory of the maps that exist together;"
    " memory_kib=...: both; macs_bits=...: bits multiplied per image. Repeatable.",
)
@click.option("--max-loss", type=click.FloatRange(0, 1), help="Smallest weights that lose so much.")
@click.option(
    "--refine",
    type=click.Choice(["layers", "none"]),
    default="layers",
    show_default=True,
    help="How 'crossgrade quantize' will quantize: layers, its default, refines about ten models to"
    " choose by.",
)
@backend_option
@output_option("-o", "--output", help="File of the widths to write (.yaml).")
@parents_option
def command(
    model, samples, images, labels, input_dtype, target, budget, max_loss, refine, backend, output
) -> None:
    """Find bits for the weights and outputs of each layer of FLOAT.

    Each width of each single layer is measured, an integer program chooses among them, and the
    emulator verifies the result; limits of the chip hold throughout. --max-loss is of
    accuracy with --labels, else the share of images whose class changes. The file is read by
    'crossgrade quantize --layers', and is a choice of the pipeline in conf/quantization/.
    """
    from pipeline.analysis.budget import parsed
    from pipeline.steps.searching import checked_budget, found_widths

    limits = checked_budget(parsed(budget, "--budget"), max_loss)
    prepared = given(model, samples, images, labels, target, input_dtype)
    sensitivity = measured_with_bar(prepared, backend)
    tell = partial(say, err=True)
    found = found_widths(prepared, sensitivity, limits, max_loss, refine, backend, tell)
    print_notes(found.notes[len(prepared.notes) :])
    click.echo(found.text())
    if output is not None:
        found.save(output)
        click.echo(f"{output}: widths of {counted(len(found.layers), 'layer')}", err=True)
