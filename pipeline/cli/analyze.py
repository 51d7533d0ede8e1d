"""``crossgrade analyze``: where a quantized model loses accuracy, why, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pipeline.cli.bar import progress_bar
from pipeline.cli.parameters import PATH, load_any, output_option, parents_option, read_classes


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
    from pipeline.analysis.page import page, side
    from pipeline.analysis.page_beside import page_beside
    from pipeline.analysis.table import analysis_json, analysis_text
    from pipeline.analysis.table_beside import beside_text
    from pipeline.data.array_file import load_array
    from pipeline.files import write_text

    graph = _float(float_model)
    loaded = load_array(images)
    classes = read_classes(labels, graph, loaded)
    paths = [quantized, *([] if beside is None else [beside])]
    models = [_integers(path) for path in paths]
    found = [_analysed(graph, model, loaded, classes, each) for model in models]
    names = _names(paths)
    if as_json:
        made = [analysis_json(one) for one in found]
        click.echo(json.dumps(made[0] if beside is None else {"runs": made}, indent=2))
    else:
        click.echo(analysis_text(found[0]) if beside is None else beside_text(found, names))
    if output is not None:
        sides = [
            side(one, _program(model, target), name)
            for one, model, name in zip(found, models, names, strict=True)
        ]
        write_text(output, page(sides[0]) if beside is None else page_beside(tuple(sides)))
        click.echo(f"{output}: page written", err=True)


def _names(paths: list[str]) -> list[str]:
    """Return the names of files, with their folders where they are the same."""
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(names) else paths


def _analysed(graph, model, images, labels, each: bool):
    from pipeline.analysis.analysis import analyse
    from pipeline.steps.analyzing import of_same_images

    with progress_bar("analysing") as progress:
        return analyse(of_same_images(graph, model), model, images, labels, progress, each=each)


def _float(path: str):
    """Return the float model in a file."""
    from pipeline.errors import ModelError
    from pipeline.graph.graph import Graph

    graph = load_any(path)
    if not isinstance(graph, Graph):
        raise ModelError(f"{path}: is quantized; give the float model first")
    return graph


def _integers(path: str):
    """Return the quantized model or the program in a file."""
    from pipeline.errors import ModelError
    from pipeline.graph.graph import Graph
    from pipeline.quantization.integers import integers
    from simulator import Program
    from simulator.archive import archive_kind

    if archive_kind(path) == "program":
        return Program.load(path)
    model = load_any(path)
    if isinstance(model, Graph):
        raise ModelError(f"{path}: is a float model; quantize it first: crossgrade quantize")
    return integers(model)


def _program(made, target: str | None):
    """Return the program whose costs and limits the page shows."""
    from pipeline.chips import convert, newest_for
    from simulator import Program

    return made if isinstance(made, Program) else convert(made, target or newest_for(made.scheme))
