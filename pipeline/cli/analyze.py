"""``crossgrade analyze``: where a quantized model loses accuracy, why, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pipeline.cli.bar import progress_bar
from pipeline.cli.parameters import PATH, output_option, parents_option


@click.command()
@click.argument("float_model", metavar="FLOAT", type=PATH)
@click.argument("quantized", type=PATH)
@click.argument("images", type=PATH)
@click.option("--labels", type=PATH, help="Classes of the images (.npy, integers).")
@click.option("--beside", type=PATH, help="Another quantized model or program of FLOAT.")
@output_option("-o", "--output", help="Page to write (.html).")
@parents_option
@click.option("--target", help="Chip whose costs and limits the page shows. [default: the newest]")
@click.option("--each", is_flag=True, help="Take every layer by itself instead of blocks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(float_model, quantized, images, labels, beside, output, target, each, as_json) -> None:
    """Measure what quantization costs in each layer of QUANTIZED on IMAGES (.npy).

    QUANTIZED is a file of 'crossgrade quantize', a Keras .h5 file quantized by QuantizeML or
    cnn2snn, or a program of either chip; FLOAT is the model that was quantized. The table lists the
    worst layers first, with a cause and an option that mends it. With --beside, two models are
    compared layer by layer, in the table and on the page.
    """
    from pipeline.steps.analyzing import analyze

    paths = [quantized, *([] if beside is None else [beside])]
    found = []
    for path, name in zip(paths, _names(paths), strict=True):
        with progress_bar("analysing") as progress:
            one = analyze(
                float_model, path, images, labels, target=target, each=each, progress=progress
            )
        one.title = name
        found.append(one)
    first, *others = found
    if as_json:
        runs = [one.as_dict() for one in found]
        click.echo(json.dumps({"runs": runs} if others else runs[0], indent=2))
    else:
        click.echo(first.text(*others))
    if output is not None:
        first.save(output, *others)
        click.echo(f"{output}: page written", err=True)


def _names(paths: list[str]) -> list[str]:
    """Return the names of files, with their folders where they are the same."""
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(names) else paths
