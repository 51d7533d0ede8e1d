"""Serve MLflow's pages from a local store, on the loopback interface."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.tracking.address import chosen_store
from pipeline.tracking.store import experiment_id
from pipeline.tracking.view import runs_address

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
"""Switch off the usage reports of MLflow."""
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 5
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
NAME = "crossgrade.localhost"
"""Browsers resolve every name under ``localhost`` to this machine. MLflow's page offers a language
model as an assistant where it is called ``localhost`` or ``127.0.0.1``."""


def serve(
    host: str,
    port: int,
    store: str | None,
    *,
    announce: Callable[[str], None],
    opens: bool = False,
) -> None:
    """Run MLflow's server until it is interrupted.

    Parameters
    ----------
    host, port : str, int
    store : str or None
        MLflow's address; None for the store in the current folder.
    announce : function of str
        Gets the address of the list of runs when the server responds.
    opens : bool
        Open that address in the browser.

    Raises
    ------
    ConfigError
        When the server does not start, such as on a port in use.
    """
    store = store or chosen_store(Path.cwd())
    server = f"http://{host}:{port}"
    if responds(server):
        raise ConfigError(f"port {port}: something serves there already; choose another one")
    address = runs_address(f"http://{NAME}:{port}", experiment_id(store))
    announce(f"starting MLflow on {store}")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--workers", "1", "--host", host, "--port", str(port)]
    command += ["--allowed-hosts", ",".join(f"{name}:{port}" for name in (NAME, "localhost", host))]
    command += ["--cors-allowed-origins", f"http://{NAME}:{port}"]
    with _ending_on(*ENDINGS):
        # A group of its own, so that the server's workers end with it.
        process = subprocess.Popen(command, env=os.environ | QUIET, start_new_session=True)
        try:
            _wait_and_announce(process, server, address, announce, opens)
        finally:
            _end(process)


def _wait_and_announce(process, server, address, announce, opens) -> None:
    while not responds(f"{server}/health"):
        if process.poll() is not None:
            raise ConfigError(f"MLflow did not start on {server}; see its messages above")
        time.sleep(PAUSE_SECONDS)
    announce(f"runs: {address}")
    if opens:
        webbrowser.open(address)
    process.wait()


@contextmanager
def _ending_on(*signals: int) -> Iterator[None]:
    """Raise SystemExit on signals that would end this process at once, and leave the server."""

    def end(number, frame):
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen) -> None:
    """End the server and its workers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)


def responds(address: str) -> bool:
    """Return whether a server answers at an address."""
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False
