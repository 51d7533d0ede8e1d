"""``crossgrade compare``: find where two models first differ."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from pipeline.cli.parameters import PATH

ANY = click.Path()
SHOWN = 20
"""Layers that the table lists, from the first that differs."""


@click.command()
@click.argument("a", type=ANY)
@click.argument("b", type=ANY)
@click.argument("images", type=PATH, required=False)
@click.option("--target", help="Chip that quantized models are run on. [default: the program's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(a: str, b: str, images: str | None, target: str | None, as_json: bool) -> None:
    """Find the first layer, image and value in which A and B differ on IMAGES (.npy).

    Each of A and B is a program, a quantized model (of 'crossgrade quantize' or a vendor's tool), a
    trace of 'crossgrade simulate --trace', a folder of golden vectors, or a float model (.h5,
    .keras, .onnx, .npz). IMAGES are not needed for two stored ones. Integers are compared by
    equality; two float models by the rounding of float32 sums. The exit status is 1 if any differ.
    """
    from pipeline.analysis.comparison import compare
    from pipeline.analysis.opened import opened
    from pipeline.data.array_file import load_array

    sides = opened(a, b, target)
    loaded = None if images is None else load_array(images)
    found = compare(*sides, loaded)
    click.echo(json.dumps(_json(found), indent=2) if as_json else _text(found, sides))
    if found.first is not None:
        sys.exit(1)


def _json(found) -> dict:
    return {"equal": found.first is None, **asdict(found)}


def _text(found, sides) -> str:
    lines = [f"{side}: {output.title}" for side, output in zip("AB", sides, strict=True)]
    for side, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            lines.append(f"only in {side}, not compared: {', '.join(names)}")
    compared = f"{len(found.layers)} layers and {found.images} images"
    if found.tolerance is not None:
        compared += (
            f"; differences up to {found.tolerance:g} of a layer's largest output are the rounding"
            " of float32 sums in another order"
        )
    first = found.first
    if first is None:
        return "\n".join([*lines, f"equal in {compared}"])
    where = first.first
    kind = f" ({first.type})" if first.type else ""
    lines.append(
        f"first difference: {first.name}{kind}, image {where.image}, index {where.index}:"
        f" {where.a} in A, {where.b} in B"
    )
    lines += [f"compared {compared}; from there on:", "", *_table(found)]
    return "\n".join(lines)


def _table(found) -> list[str]:
    start = found.layers.index(found.first)
    layers = found.layers[start:]
    rows = [("layer", "values", "differ", "share", "largest difference")]
    rows += [
        (
            layer.name,
            f"{layer.values:,}",
            f"{layer.differ:,}",
            f"{layer.differ / layer.values:.2%}",
            f"{layer.largest:g}",
        )
        for layer in layers[:SHOWN]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]
    left = len(layers) - SHOWN
    return [*lines, *([f"and {left} more layers"] if left > 0 else [])]
