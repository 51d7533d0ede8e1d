"""Options and helpers that several commands share."""

from __future__ import annotations

import click

from pipeline.errors import ModelError
from pipeline.messages.lines import INDENT, wrapped

PATH = click.Path(dir_okay=False)

target_option = click.option(
    "--target",
    envvar="CROSSGRADE_TARGET",
    default="akida_v2",
    show_default=True,
    show_envvar=True,
    help="Chip to convert to.",
)


backend_option = click.option(
    "--backend",
    type=click.Choice(["auto", "fast", "numpy", "reference"]),
    default="auto",
    show_default=True,
    help="Backend of the emulator; integers are the same.",
)


verbose_option = click.option("-v", "--verbose", is_flag=True, help="Print notes with all details.")


def warn(lines) -> None:
    """Print lines to standard error, marked as warnings."""
    for line in lines:
        _echo("warning", line)


def print_notes(notes, *, verbose: bool = False) -> None:
    """Print notes and warnings to standard error, with their details if `verbose`."""
    for note in notes:
        _echo(note.level, note.text)
        for line in note.details if verbose else ():
            _echo("", line)


def check_scale(images, *programs) -> None:
    """Raise if a program does not take the images; warn if their scale is not the expected one."""
    from simulator.engine import check_images
    from simulator.image_scale import input_warning

    found = [input_warning(program, check_images(program, images)) for program in programs]
    warn(dict.fromkeys(filter(None, found)))


def _echo(mark: str, text: str) -> None:
    click.echo(wrapped(text, f"{mark}: " if mark else INDENT), err=True)


def load_any(path):
    """Return a model of any phase: Graph, CalibratedGraph, QuantizedGraph.

    Keras files (``.h5``, ``.keras``) and crossgrade's own ``.npz`` files are recognised.

    Raises
    ------
    ModelError
        If the file contains none of them.
    """
    from pathlib import Path

    from pipeline.graph.archive import load_graph
    from pipeline.importers import load_model
    from pipeline.quantization.archive import KIND, load_quantized
    from simulator.archive import archive_kind

    if not Path(path).is_file():
        raise ModelError(f"{path}: no such file; give a .h5, .keras or .npz model")
    kind = archive_kind(path)
    if kind == "program":
        raise ModelError(f"{path}: is a program already; see 'crossgrade summary {path}'")
    if kind == KIND:
        return load_quantized(path)
    return load_graph(path) if kind is not None else load_model(path)
