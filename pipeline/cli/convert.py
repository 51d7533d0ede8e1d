"""``crossgrade convert``: a quantized model to a program."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, load_any, tell, verbose_option, warn


@click.command()
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="Program file to write (.npz).")
@click.option(
    "--target",
    envvar="CROSSGRADE_TARGET",
    show_envvar=True,
    help="Chip to convert to; by default the newest that takes the model's quantization.",
)
@click.option("--strict", is_flag=True, help="Refuse what exceeds the chip's published limits.")
@click.option(
    "--fit-registers",
    is_flag=True,
    help="Bring registers inside their widths even where outputs change.",
)
@verbose_option
def command(
    model: str, output: str, target: str | None, strict: bool, fit_registers: bool, verbose: bool
) -> None:
    """Convert MODEL, a quantized model, to a program of the target chip.

    MODEL is a Keras .h5 file quantized by QuantizeML or cnn2snn, or what 'crossgrade quantize'
    wrote. No TensorFlow and no vendor software is needed, and no code from the file is run.
    """
    from pipeline.errors import ModelError
    from pipeline.graph.graph import Graph
    from pipeline.messages.conversion import conversion_notes
    from pipeline.quantization.integers import integers
    from pipeline.targets import convert, newest_for

    loaded = load_any(model)
    if isinstance(loaded, Graph):
        raise ModelError(
            f"{model}: is a float model; quantize it first: crossgrade quantize {model} -o Q.npz"
        )
    quantized = integers(loaded)
    chip = target or newest_for(quantized.scheme)
    program = convert(quantized, chip, strict=strict, fit_registers=fit_registers)
    if quantized is not loaded:
        # A file of 'crossgrade quantize' has printed its notes when it was made.
        tell(quantized.notes, verbose=verbose)
    tell(conversion_notes(quantized.notes, program), verbose=verbose)
    warn(program.limits())
    program.save(output)
    click.echo(f"{output}: {program.target} program of {len(program.layers)} layers")
