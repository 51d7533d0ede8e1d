"""``crossgrade analyze``: where a quantized model loses accuracy, why, and what to do."""

from __future__ import annotations

import json
import sys

import click

from pipeline.cli.parameters import PATH, load_any, output_option, parents_option, read_classes


@click.command()
@click.argument("float_model", metavar="FLOAT", type=PATH)
@click.argument("quantized", type=PATH)
@click.argument("images", type=PATH)
@click.option("--labels", type=PATH, help="Classes of the images (.npy, integers).")
@output_option("-o", "--output", help="Page to write (.html).")
@parents_option
@click.option("--target", help="Chip whose costs and limits the page shows. [default: the newest]")
@click.option("--each", is_flag=True, help="Take every layer by itself instead of blocks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(float_model, quantized, images, labels, output, target, each, as_json) -> None:
    """Measure what quantization costs in each layer of QUANTIZED on IMAGES (.npy).

    QUANTIZED is a file of 'crossgrade quantize', or a Keras .h5 file quantized by QuantizeML; FLOAT
    is the model that was quantized. The table lists the worst layers first, with a cause and an
    option that mends it.
    """
    from pipeline.analysis.analysis import analyse
    from pipeline.analysis.table import analysis_json, analysis_text
    from pipeline.chips import convert, newest_for
    from pipeline.data.array_file import load_array
    from pipeline.errors import ModelError
    from pipeline.graph.graph import Graph
    from pipeline.models.input_dtype import with_input_dtype
    from pipeline.quantization.integers import integers
    from simulator.archive import archive_kind

    if archive_kind(quantized) == "program":
        raise ModelError(
            f"{quantized}: a program has no scales of its tensors; give the quantized model that it"
            " was converted from"
        )
    models = load_any(float_model), load_any(quantized)
    if not isinstance(models[0], Graph):
        raise ModelError(f"{float_model}: is quantized; give the float model first")
    if isinstance(models[1], Graph):
        raise ModelError(f"{quantized}: is a float model; quantize it first: crossgrade quantize")
    made = integers(models[1])
    models = with_input_dtype(models[0], made.input.attrs["dtype"]), models[1]
    loaded = load_array(images)
    classes = read_classes(labels, models[0], loaded)
    with click.progressbar(length=len(loaded), label="analysing", file=sys.stderr) as bar:
        found = analyse(
            models[0], made, loaded, classes, lambda n, _: bar.update(n - bar.pos), each=each
        )
    click.echo(json.dumps(analysis_json(found), indent=2) if as_json else analysis_text(found))
    if output is not None:
        from pipeline.analysis.cost import layer_costs
        from pipeline.analysis.page import page
        from pipeline.files import write_text

        program = convert(made, target or newest_for(made.scheme))
        write_text(output, page(found, layer_costs(program), program.limits()))
        click.echo(f"{output}: page written", err=True)
