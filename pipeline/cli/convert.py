"""``crossgrade convert``: convert a quantized model to a program."""

from __future__ import annotations

import click

from pipeline.cli.parameters import (
    PATH,
    output_option,
    parents_option,
    print_notes,
    say,
    verbose_option,
    warn,
)
from pipeline.messages.lines import counted


@click.command()
@click.argument("model", type=PATH)
@output_option("-o", "--output", required=True, help="Program file to write (.npz).")
@parents_option
@click.option(
    "--target",
    envvar="CROSSGRADE_TARGET",
    show_envvar=True,
    help="Chip to convert to; by default the newest for the model's quantization.",
)
@click.option("--strict", is_flag=True, help="Refuse programs beyond the chip's published limits.")
@click.option(
    "--fit-registers",
    is_flag=True,
    help="Fit registers into their widths even where outputs change.",
)
@click.option(
    "--samples",
    type=PATH,
    help="Images (.npy) to measure changes of the outputs on; random by default.",
)
@verbose_option
def command(
    model: str,
    output: str,
    target: str | None,
    strict: bool,
    fit_registers: bool,
    samples: str | None,
    verbose: bool,
) -> None:
    """Convert MODEL, a quantized model, to a program of the target chip.

    MODEL is a Keras .h5 file quantized by QuantizeML or cnn2snn, or a file of 'crossgrade
    quantize'. Neither TensorFlow nor vendor software is needed, and no code from the file is run.
    """
    from pipeline.chips.conversion import emulated_only
    from pipeline.messages.notes import LIMITS, Note
    from pipeline.steps.converting import convert
    from pipeline.steps.reading import as_quantized
    from simulator.refusal import refusal_lines

    quantized = as_quantized(model)
    made = convert(quantized, target, strict=strict, fit_registers=fit_registers, samples=samples)
    program = made.program
    if quantized.integers is not quantized.loaded:
        # 'crossgrade quantize' already printed the notes of its files.
        print_notes(quantized.notes, verbose=verbose)
    print_notes(made.notes, verbose=verbose)
    warn(refusal_lines(emulated_only(quantized.integers, program)))
    print_notes(
        Note(kind=LIMITS, text=f"{remark} (one reading of the vendor's page)")
        for remark in program.remarks()
    )
    program.save(output)
    say(f"{output}: {program.target} program of {counted(len(program.layers), 'layer')}")
