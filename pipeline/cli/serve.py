"""``crossgrade serve``: serve a program's outputs over HTTP."""

from __future__ import annotations

import click

from pipeline.cli.parameters import PATH, load_program


@click.command()
@click.argument("program", type=PATH)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5001, show_default=True, help="0: any."
)
def command(program: str, port: int) -> None:
    """Serve the outputs of PROGRAM on this machine, in the protocol of MLflow's servers.

    POST {"inputs": images} to /invocations, as nested lists of shape (n, height, width,
    channels); with {"params": {"classes": true}} the classes come back. What is wrong, too
    large or too slow gets a status of 4xx and the reason. Ctrl-C ends the server.
    """
    loaded = load_program(program)

    from pipeline.serving.server import serve

    shape = ", ".join(map(str, ("n", *loaded.input_shape)))
    click.echo(f"{program}: takes {loaded.input_dtype} of shape ({shape})")
    serve(loaded, port, announce=lambda address: click.echo(f"serving on {address}"))
