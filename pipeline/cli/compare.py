"""``crossgrade compare``: find where two models first differ."""

from __future__ import annotations

import json
import sys

import click

from pipeline.cli.parameters import PATH

ANY = click.Path()


@click.command()
@click.argument("a", type=ANY)
@click.argument("b", type=ANY)
@click.argument("images", type=PATH, required=False)
@click.option(
    "--images-b",
    type=PATH,
    help="The same images for B, where it takes another shape or type: migrated models may.",
)
@click.option("--target", help="Chip that quantized models are run on. [default: the program's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    a: str, b: str, images: str | None, images_b: str | None, target: str | None, as_json: bool
) -> None:
    """Find the first layer, image and value in which A and B differ on IMAGES (.npy).

    Each of A and B is a program, a quantized model (of 'crossgrade quantize' or a vendor's tool), a
    trace of 'crossgrade simulate --trace', a folder of golden vectors, or a float model (.h5,
    .keras, .onnx, .npz). IMAGES are not needed for two stored ones. Integers are compared by
    equality; two float models by the rounding of float32 sums. Layers are matched by name, outputs
    of the models in any case; layers of another shape are listed. The exit status is 1 if any
    differ.
    """
    from pipeline.steps.comparing import compare

    found = compare(a, b, images, x_b=images_b, target=target)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.text())
    if not found.equal:
        sys.exit(1)
