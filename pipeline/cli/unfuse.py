"""``crossgrade unfuse``: split a model's separable convolutions."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.parameters import PATH, output_option, parents_option, print_notes


@click.command()
@click.option("-m", "--model", type=PATH, required=True, help="Float model (.h5, .keras, .npz).")
@output_option("-o", "--output", help="File to write.  [default: <model>_unfused.h5]")
@parents_option
def command(model: str, output: str | None) -> None:
    """Replace every SeparableConv2D of a model by a DepthwiseConv2D and a 1x1 Conv2D.

    Like 'akida_models unfuse', but for layers at any position, and verified: outputs before and
    after are compared on random images.
    """
    from pipeline.errors import ModelError
    from pipeline.graph.forward import forward
    from pipeline.migration.compare import compare_outputs, equivalence
    from pipeline.migration.recovery import read_compared
    from pipeline.models.file import check_suffix, read_float, write_float
    from pipeline.preparation.verification import random_images
    from pipeline.transforms.exact.unfuse_separable import unfuse_separable

    source = Path(model)
    target = Path(output) if output else source.with_name(f"{source.stem}_unfused.h5")
    check_suffix(target)
    graph, notes = read_compared(source)
    print_notes(notes)
    if any(node.op == "QuantizedReLU" for node in graph.nodes):
        raise ModelError(
            f"{source}: was quantized by cnn2snn; use 'crossgrade migrate', which recovers a"
            " float model and splits its separable convolutions"
        )
    if target.resolve() == source.resolve():
        raise ModelError(f"{target}: is the model itself; give another file with -o")
    rewrite = unfuse_separable(graph)
    images = random_images(graph, 16)
    expected = forward(graph, images)

    def accept(path) -> None:
        nonlocal found
        found = compare_outputs(expected, forward(read_float(path), images))
        kind = equivalence(found["max_abs_difference"], found["largest_output"], True)
        if kind == "approximate":
            raise ModelError(
                f"{target}: outputs would change by {found['max_abs_difference']:.3g}; weights may"
                " be out of float32's range; nothing was written"
            )
        found["kind"] = kind

    found: dict = {}
    write_float(target, rewrite.graph, accept)
    count = len(rewrite.changed)
    click.echo(
        f"{target}: {count} separable convolution{'s' * (count != 1)} split; largest difference"
        f" {found['max_abs_difference']:.3g} on {len(images)} random images ({found['kind']})"
    )
