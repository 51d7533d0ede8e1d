"""``crossgrade unfuse``: split a model's separable convolutions."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.parameters import PATH, output_option, parents_option, print_notes, say


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
    from pipeline.migration.recovery import read_compared
    from pipeline.models.file import check_suffix, read_float, write_float
    from pipeline.preparation.verification import random_images
    from pipeline.steps.unfusing import IMAGES, difference, unfused

    source = Path(model)
    target = Path(output) if output else source.with_name(f"{source.stem}_unfused.h5")
    check_suffix(target)
    graph, notes = read_compared(source)
    print_notes(notes)
    if target.resolve() == source.resolve():
        raise ModelError(f"{target}: is the model itself; give another file with -o")
    rewrite, images, found = unfused(graph, source), random_images(graph, IMAGES), {}

    def accept(path) -> None:
        found.update(difference(target, graph, read_float(path), images))

    write_float(target, rewrite.graph, accept)
    count = len(rewrite.changed)
    say(
        f"{target}: {count} separable convolution{'s' * (count != 1)} split; largest difference"
        f" {found['max_abs_difference']:.3g} on {len(images)} random images ({found['kind']})"
    )
