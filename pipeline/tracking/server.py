"""Serve MLflow's pages from a local store, on the loopback interface."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.tracking.address import chosen_store
from pipeline.tracking.store import experiment_id
from pipeline.tracking.view import runs_address

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
"""Switch off the usage reports of MLflow."""
PAUSE_SECONDS = 0.2
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
    process = subprocess.Popen(command, env=os.environ | QUIET)
    try:
        while not responds(f"{server}/health"):
            if process.poll() is not None:
                raise ConfigError(f"MLflow did not start on {server}; see its messages above")
            time.sleep(PAUSE_SECONDS)
        announce(f"runs: {address}")
        if opens:
            webbrowser.open(address)
        process.wait()
    finally:
        process.terminate()
        process.wait()


def responds(address: str) -> bool:
    """Return whether a server answers at an address."""
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False
