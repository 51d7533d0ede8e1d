"""Options that choose bit widths for single layers, ``--layer`` and ``--layers``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pipeline.cli.parameters import PATH

FORM = "name:weight_bits=8,activation_bits=4, where the name may be a pattern or a layer type"


def layer_options(function):
    """Add the options, as arguments ``layer`` and ``layers`` of the command."""
    single = click.option(
        "--layer",
        multiple=True,
        metavar="NAME:WIDTHS",
        help="Widths of single layers: 'dw_*:weight_bits=8'; also activation_bits, output_bits."
        " NAME is a layer, a pattern or a layer type. Repeatable.",
    )
    many = click.option(
        "--layers", type=PATH, help="File of such widths (.yaml); --layer changes single ones."
    )
    return single(many(function))


def read_layers(layer: Sequence[str], layers: str | None) -> dict:
    """Return the `LayerWidths` of both options by name.

    Parameters
    ----------
    layer : sequence of str
        ``name:key=value,key=value``; the last one counts.
    layers : str or None
        File that maps names to widths, itself or under its key ``layers``.

    Raises
    ------
    ConfigError
        Listing all errors of the options.
    """
    from pipeline.config.load import check_layers
    from pipeline.errors import ConfigError

    values = {} if layers is None else _read_file(layers)
    found = check_layers(values, layers)
    problems, given = [], {}
    for text in layer:
        name, colon, widths = text.rpartition(":")
        pairs = [pair.partition("=") for pair in widths.split(",")]
        if not colon or not name or not all(sign for _, sign, _ in pairs):
            problems.append(f"--layer: found '{text}'; allowed: {FORM}")
            continue
        given.setdefault(name, {}).update(
            {key.strip(): _number(value.strip()) for key, _, value in pairs}
        )
    if problems:
        raise ConfigError("; ".join(problems))
    check_layers(given, "--layer")
    merged = {name: {**vars(found[name])} for name in found}
    for name, widths in given.items():
        merged.setdefault(name, {}).update(widths)
    return check_layers(merged, "--layer")


def _number(text: str):
    return int(text) if text.isdecimal() else None if text == "null" else text


def _read_file(path: str) -> dict:
    """Return the mapping of a file, which may be a choice of ``conf/quantization``."""
    import yaml

    from pipeline.errors import ConfigError
    from simulator.malformed import brief

    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {brief(error)}") from error
    if isinstance(values, dict) and set(values) <= {"defaults", "layers"} and "layers" in values:
        values = values["layers"]
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found {values!r}; allowed: a mapping of layers to widths")
    return values
