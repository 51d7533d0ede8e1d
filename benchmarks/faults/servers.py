"""A tracking server that dies while a run is uploaded."""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.faults.place import Place
from benchmarks.faults.trial import Outcome, Trial
from pipeline.tracking.outbox import OUTBOX
from tests.waiting import wait_for


class Proxy:
    """Passes connections on to a server, until a number of bytes has been sent to it.

    Parameters
    ----------
    port : int
        Of the server.
    size : int
        Bytes after which connections are cut, and new ones are refused.
    """

    def __init__(self, port: int, size: int):
        self.port, self.left = port, size
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.left <= 0:
                client.close()
                continue
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with closing(client), socket.create_connection(("127.0.0.1", self.port)) as server:
            other = {client: server, server: client}
            with suppress(OSError):
                while ready := select.select(list(other), [], [], 60)[0]:
                    for end in ready:
                        data = end.recv(1 << 16)
                        self.left -= len(data) if end is client else 0
                        if not data or self.left <= 0:
                            return
                        other[end].sendall(data)

    def close(self) -> None:
        """Refuse connections from now on."""
        self.listener.close()


def cases(folder: Path, tries: int, _seed: int) -> Iterator[Outcome]:
    """Yield one outcome for each number of bytes after which the server dies."""
    base = Place.made(folder / "base")
    port, process = _server(folder)
    try:
        for number in range(tries):
            yield _one(base, folder, port, 3000 << number)
    finally:
        process.terminate()
        process.wait()


def _one(base: Place, folder: Path, port: int, size: int) -> Outcome:
    place = base.copy(folder / f"clone{size}")
    params = place.root / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("seed: 0", f"seed: {size}"))
    shutil.rmtree(place.root / OUTBOX, ignore_errors=True)
    proxy = Proxy(port, size)
    status, text = place.attempt("python", "-m", "stages.track", MLFLOW_TRACKING_URI=proxy.address)
    proxy.close()
    died = "kept in" in text
    lost = [] if status == 0 and "Traceback" not in text else [f"status {status}: {text[-300:]}"]
    direct = f"http://127.0.0.1:{port}"
    status, text = place.attempt("crossgrade", "track", "--resume", "--store", direct)
    if status or (died and "recorded in MLflow" not in text and "already" not in text):
        lost.append(f"resume: status {status}: {text[-300:]}")
    lost.append(place.lost(direct))
    what = f"the server dies after {size} bytes" if died else "it lives long enough"
    return Outcome(what, "; ".join(filter(None, lost)))


def _server(folder: Path) -> tuple[int, subprocess.Popen]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "server files")]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    wait_for(lambda: _responds(port), process, folder / "server.log")
    return port, process


def _responds(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except OSError:
        return False
    return True


SERVERS = Trial("servers", "a tracking server that dies during an upload", cases, 8)
