"""``crossgrade export``: write a quantized model in a format of another tool."""

from __future__ import annotations

import click

from pipeline.cli.parameters import (
    PATH,
    load_any,
    output_option,
    parents_option,
    print_notes,
    say,
    verbose_option,
)
from pipeline.formats.table import EXPORTS


@click.command()
@click.argument("model", type=PATH)
@output_option("-o", "--output", required=True, help="File to write.")
@parents_option
@click.option(
    "--format",
    "name",
    type=click.Choice(list(EXPORTS)),
    help="quantizeml for Akida 2.0, cnn2snn for 1.0's own scheme, onnx for a chip's integers in"
    " standard operators.  [default: the model's scheme; onnx for programs]",
)
@click.option("--target", help="Chip whose program becomes ONNX; by default the newest.")
@click.option(
    "--certificate",
    type=click.Path(),
    help="Certificate of the migration that MODEL comes from: name OUTPUT and its hash there.",
)
@verbose_option
def command(model, output, name, target, certificate, verbose) -> None:
    """Write MODEL, a quantized model or a program, in a format of other tools.

    MODEL is a file of 'crossgrade quantize' or 'crossgrade convert', or a Keras .h5 file quantized
    by QuantizeML or cnn2snn. The file holds every integer of MODEL, or none is written: nothing is
    quantized again.
    """
    from pipeline.files import file_sha256

    _check_output(model, output, name)
    if _is_program(model):
        name, label = _program(model, output, name, target, certificate)
    else:
        name, label = _model(model, output, name, target, certificate, verbose)
    say(f"{output}: {label} for {name}")
    click.echo(f"sha256 {file_sha256(output)}")


def _check_output(model, output, name: str | None) -> None:
    """Refuse MODEL itself, and a suffix by which the format's readers would not know the file."""
    from pathlib import Path

    from pipeline.errors import ConfigError

    if Path(output).resolve() == Path(model).resolve():
        raise ConfigError(f"{output}: is MODEL itself; give another file with -o")
    suffixes = sorted({EXPORTS[key].suffix for key in ([name] if name else EXPORTS)})
    if Path(output).suffix not in suffixes:
        raise ConfigError(f"--output {output}: allowed suffixes: {', '.join(suffixes)}")


def _is_program(model) -> bool:
    from pathlib import Path

    from simulator.archive import archive_kind

    return Path(model).is_file() and archive_kind(model) == "program"


def _program(model, output, name, target, certificate) -> tuple[str, str]:
    """Write a program as ONNX."""
    from pipeline.errors import ConfigError
    from pipeline.exporters.program_onnx import export_program_onnx
    from simulator import Program

    if name not in (None, "onnx"):
        raise ConfigError(
            f"--format {name}: {model} is a program; allowed: onnx, or a quantized model as MODEL"
        )
    if certificate is not None:
        raise ConfigError(
            f"--certificate {certificate}: names exports of quantized models; {model} is a program"
        )
    program = Program.load(model)
    if target not in (None, program.target):
        raise ConfigError(f"--target {target}: {model} is a program of {program.target}")
    export_program_onnx(output, program)
    return "onnx", f"{program.name} on {program.target}"


def _model(model, output, name, target, certificate, verbose) -> tuple[str, str]:
    """Write a quantized model."""
    from pipeline.chips import convert
    from pipeline.errors import ConfigError, ModelError
    from pipeline.exporters.formats import export
    from pipeline.graph.graph import Graph
    from pipeline.migration.exports import CertifiedExport
    from pipeline.quantization.integers import integers

    loaded = load_any(model)
    if isinstance(loaded, Graph):
        raise ModelError(
            f"{model}: is a float model; quantize it first: crossgrade quantize {model} -o Q.npz"
        )
    quantized = integers(loaded)
    name = name or quantized.scheme
    if target is not None and name != "onnx":
        raise ConfigError(f"--target {target}: belongs to --format onnx")
    program = None if target is None else convert(quantized, target)
    certified = None if certificate is None else CertifiedExport(certificate, quantized)
    print_notes(export(output, quantized, name, program), verbose=verbose)
    if certified is not None:
        certified.add(model, output, name)
    return name, quantized.name
