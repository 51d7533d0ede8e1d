"""Load a served program on this machine: ``python -m benchmarks.serving [--seconds N]``.

Starts ``crossgrade serve`` with a small program, and asks it from several clients at once: right
images, images of wrong types, shapes and scales, texts that are no JSON, bodies that are too large,
and clients that send slowly. Every reply must be the emulator's output or a refusal (4xx) with its
reason, and the server's memory must not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.graph.architecture import build_graph
from pipeline.quantization.quantize import quantize
from simulator import Program, simulate
from tests.waiting import wait_for

SHAPE = (8, 8, 1)
MODEL = {
    "name": "served",
    "input": {"shape": list(SHAPE), "dtype": "uint8"},
    "layers": [
        {"Conv2D": {"filters": 8, "kernel_size": 3, "padding": "same"}},
        {"ReLU": {"max_value": 6.0}},
        {"Flatten": {}},
        {"Dense": {"units": 10}},
    ],
}
BATCH = 8
GROWTH = 1.5
"""Largest allowed growth of memory between the first clients and the last ones."""


def main() -> int:
    """Serve, ask, and print what came back; return 1 for a wrong reply or growing memory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="duration of the load")
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serving ") as folder:
        program, images = make_program(Path(folder))
        with Server(Path(folder)) as server:
            load = Load(server, program, images)
            load.warm()
            load.run(options.clients, options.seconds / 3)
            before = server.memory()
            load.run(options.clients, options.seconds)
            return report(load, before, server.memory())


def make_program(folder: Path) -> tuple[Program, np.ndarray]:
    """Write a program and its MLflow model to `folder`; return it, and images for it."""
    images = np.random.default_rng(0).integers(0, 256, (64, *SHAPE), np.uint8)
    options = Quantization(calibration=Calibration(samples=64, batch_size=32))
    program = convert(quantize(build_graph(MODEL, seed=0), images, options), "akida_v2")
    program.save(folder / "program.npz")
    return program, images


class Server:
    """``crossgrade serve`` of the program in a folder."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.log = folder, folder / "log"
        self.address = f"http://127.0.0.1:{self.port}/invocations"

    def __enter__(self) -> Server:
        """Start it, and wait until it responds."""
        command = [str(Path(sys.executable).with_name("crossgrade")), "serve", "program.npz"]
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=self.folder,
                env=os.environ | {"PATH": path},
                stdout=log,
                stderr=log,
                process_group=0,
            )
        wait_for(lambda: ask(self.address, b"{}")[0] == 400, self.process, self.log)
        return self

    def __exit__(self, *error) -> None:
        """End all its processes."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()

    def memory(self) -> int:
        """Return the resident memory of all its processes, in bytes."""
        total = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.process.pid:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        return total


def ask(address: str, body: bytes) -> tuple[int, str]:
    """Return status and text of a reply; status 0 if there is none."""
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Load:
    """Clients of one server, and what came back."""

    def __init__(self, server: Server, program: Program, images: np.ndarray):
        self.server, self.images = server, images
        self.right = simulate(program, images).reshape(len(images), -1)
        self.counts: dict[str, Counter] = {}
        self.seconds: list[float] = []
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Ask once in every way."""
        for name in ("right", *WRONG):
            self.ask(name, 0)

    def run(self, clients: int, seconds: float) -> None:
        """Ask from several threads, and from a slow client beside them."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._client, args=(n, end)) for n in range(clients)]
        threads.append(threading.Thread(target=self._slow, args=(end,)))
        self.began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.duration = time.monotonic() - self.began

    def _client(self, number: int, end: float) -> None:
        turn = number
        while time.monotonic() < end:
            wrong = turn % 5 == 4
            self.ask([*WRONG][turn // 5 % len(WRONG)] if wrong else "right", turn)
            turn += 1

    def ask(self, name: str, turn: int) -> None:
        """Send one request and note the outcome."""
        start = BATCH * turn % (len(self.images) - BATCH + 1)
        images = self.images[start : start + BATCH]
        body = WRONG[name](images) if name in WRONG else json.dumps({"inputs": images.tolist()})
        began = time.monotonic()
        status, text = ask(self.server.address, body.encode(errors="surrogateescape"))
        spent = time.monotonic() - began
        if name == "right":
            outcome = self._compared(status, text, start)
        else:
            outcome = "refused" if 400 <= status < 500 and text.strip() else f"status {status}"
        with self._lock:
            self.counts.setdefault(name, Counter())[outcome] += 1
            if name == "right":
                self.seconds.append(spent)

    def _compared(self, status: int, text: str, start: int) -> str:
        if status != 200:
            return f"status {status}"
        given = np.array(json.loads(text)["predictions"], np.float32).reshape(BATCH, -1)
        equal = np.array_equal(given, self.right[start : start + BATCH])
        return "right" if equal else "other output"

    def _slow(self, end: float) -> None:
        """Send a request byte by byte, and never its end; others must be served meanwhile."""
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            for position in range(1 << 30):
                if time.monotonic() > end:
                    return
                client.sendall(head[position : position + 1] or b" ")
                time.sleep(0.2)


def _text(images) -> str:
    return json.dumps({"inputs": [["a"] * 8] * BATCH})


def _scaled(images) -> str:
    return json.dumps({"inputs": (images / 255).tolist()})


WRONG = {
    "no JSON": lambda images: '{"inputs": [',
    "no images": lambda images: json.dumps({"inputs": []}),
    "texts": _text,
    "0..1 floats": _scaled,
    "300 in a byte": lambda images: json.dumps({"inputs": (images.astype(int) + 300).tolist()}),
    "another shape": lambda images: json.dumps({"inputs": images[:, :5].tolist()}),
    "ragged lists": lambda images: json.dumps({"inputs": [[1], [2, 3]]}),
    "deep nesting": lambda images: '{"inputs": ' + "[" * 3000 + "]" * 3000 + "}",
    "null": lambda images: json.dumps({"inputs": None}),
    "a number of 9,999 digits": lambda images: '{"inputs": [' + "9" * 9999 + "]}",
    "no UTF-8": lambda images: '{"inputs": "\udcff"}',
    "20 MB of text": lambda images: json.dumps({"inputs": "x" * 20_000_000}),
    "80 MB of text": lambda images: json.dumps({"inputs": "x" * 80_000_000}),
}


def report(load: Load, before: int, after: int) -> int:
    """Print the figures; return 1 if a reply was wrong or memory grew."""
    bad = 0
    for name, counts in load.counts.items():
        bad += sum(n for outcome, n in counts.items() if outcome not in ("right", "refused"))
        print(f"{name:16} {', '.join(f'{n} {outcome}' for outcome, n in counts.items())}")
    total = sum(counts.total() for counts in load.counts.values())
    ordered = sorted(load.seconds)
    late = ordered[int(0.99 * (len(ordered) - 1))]
    print(
        f"{total / load.duration:.0f} requests/s of {BATCH} images; median latency"
        f" {1000 * statistics.median(ordered):.0f} ms, 99% below {1000 * late:.0f} ms"
    )
    print(f"memory of the server: {before >> 20} MiB before, {after >> 20} MiB after")
    return 1 if bad or after > GROWTH * before else 0


if __name__ == "__main__":
    sys.exit(main())
