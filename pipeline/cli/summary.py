"""``crossgrade summary``: print a program's layers."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, backend_option, load_program, verbose_option, warn


@click.command()
@click.argument("program", type=PATH)
@click.option("--plan", is_flag=True, help="Also print the emulator's arithmetic of each layer.")
@backend_option
@verbose_option
def command(program: str, plan: bool, backend: str, verbose: bool) -> None:
    """Print the layers of PROGRAM as the vendor's tools do, their bit widths and exceeded limits.

    --plan adds each layer's path through the emulator: the proven width of its accumulators, and
    the arithmetic that is proven to give the chip's integers. --verbose adds the notes of
    quantization and conversion, which the program stores.
    """
    from simulator.plan import compile_program, fast_is_available
    from simulator.summary import summary
    from simulator.widths import widths_table

    loaded = load_program(program)
    click.echo(f"{summary(loaded)}\n{widths_table(loaded)}", nl=False)
    if plan:
        if backend == "auto":
            backend = "fast" if fast_is_available() else "numpy"
        click.echo()
        click.echo(compile_program(loaded, backend).describe())
    if verbose and loaded.notes:
        from pipeline.messages.lines import wrapped

        click.echo("\nnotes of quantization and conversion")
        click.echo("\n".join(wrapped(note, "  - ") for note in loaded.notes))
    warn(loaded.limits())
