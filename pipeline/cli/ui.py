"""``crossgrade ui``: open MLflow's pages on the recorded runs."""

from __future__ import annotations

import click

LOOPBACK = "127.0.0.1"


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Local port."
)
@click.option("--store", help="MLflow's address.  [default: ./mlflow.db]")
@click.option("--open", "opens", is_flag=True, help="Open the list of runs in the browser.")
def command(port: int, store: str | None, opens: bool) -> None:
    """Serve MLflow's pages on this machine, and print the address of the list of runs.

    The list shows accuracy, loss against float, memory, exceeded limits and cost. MLflow's
    usage reports are switched off. Ctrl-C ends the server.
    """
    from pipeline.packages import require

    require("mlflow", "crossgrade ui")
    from pipeline.tracking.server import serve

    serve(LOOPBACK, port, store, announce=click.echo, opens=opens)
