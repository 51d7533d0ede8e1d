"""Time against batch, image size, channels, images and workers: ``python -m benchmarks.growth``.

Part of `make bench`; writes the figures and a plot of them.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from benchmarks.nets import prepare, sized_program
from simulator import Program, simulate
from simulator.plan import compile_program

OUTPUT, PICTURE = Path("docs/speed_growth.json"), Path("docs/images/speed_growth.png")
BACKENDS = ("numpy", "fast")
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIZES = (64, 96, 128, 160, 192, 224)
ALPHAS, ALPHA_SIZE = (0.25, 0.5, 1.0), 96
WORKERS = tuple(count for count in (1, 2, 4, 8) if count <= (os.cpu_count() or 1))
SHARED = 10_000
COUNTS = (250, 500, 1000, 2000, 4000, 8000)
ROUNDS = 5


def seconds(calls: dict) -> dict:
    """Return the CPU seconds of each call: the minimum over interleaved rounds."""
    best = {name: float("inf") for name in calls}
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return best


def by_batch(backend: str) -> list[float]:
    """Return milliseconds per image of akidanet 0.5 at 160, by batch size."""
    folder = prepare("akidanet05_160", oracle=False)
    program, images = Program.load(folder / "program.npz"), np.load(folder / "images.npy")
    plan = compile_program(program, backend)
    calls = {n: lambda n=n: simulate(program, images[:n], backend=plan) for n in BATCHES}
    return [1e3 * value / n for n, value in seconds(calls).items()]


def by_size(backend: str) -> tuple[list[float], list[float]]:
    """Return millions of MACs and milliseconds per image of akidanet 0.5, by image size."""
    return _by_program(backend, {size: sized_program(size) for size in SIZES})


def by_channels(backend: str) -> tuple[list[float], list[float]]:
    """Return millions of MACs and milliseconds per image of akidanet at 96, by width."""
    return _by_program(backend, {alpha: sized_program(ALPHA_SIZE, alpha) for alpha in ALPHAS})


def _by_program(backend: str, programs: dict) -> tuple[list[float], list[float]]:
    rng, calls = np.random.default_rng(0), {}
    for key, program in programs.items():
        images = rng.integers(0, 256, (8, *program.input_shape), dtype=np.uint8)
        plan = compile_program(program, backend)
        calls[key] = lambda p=program, i=images, plan=plan: simulate(p, i, backend=plan)
    macs = [sum(layer.macs for layer in program.layers) / 1e6 for program in programs.values()]
    return macs, [1e3 * value / 8 for value in seconds(calls).values()]


def by_workers(backend: str) -> list[float]:
    """Return wall seconds for 10,000 images of ds_cnn, by workers, their start included."""
    command = [sys.executable, "-m", "benchmarks.shards", str(prepare("ds_cnn", oracle=False))]
    best = dict.fromkeys(WORKERS, float("inf"))
    for _ in range(ROUNDS):
        for count in WORKERS:
            arguments = [*command, backend, str(count), str(SHARED)]
            found = subprocess.run(arguments, capture_output=True, check=True, text=True)
            best[count] = min(best[count], json.loads(found.stdout)["wall"])
    return list(best.values())


def by_count(backend: str) -> list[float]:
    """Return seconds of ds_cnn, by total number of images."""
    folder = prepare("ds_cnn", oracle=False)
    program, images = Program.load(folder / "program.npz"), np.load(folder / "images.npy")
    plan = compile_program(program, backend)
    images = np.resize(images, (max(COUNTS), *program.input_shape))
    calls = {n: lambda n=n: simulate(program, images[:n], backend=plan) for n in COUNTS}
    return list(seconds(calls).values())


def draw(figures: dict) -> None:
    """Write the plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    (batch, size, channels), (count, workers, unused) = figure.subplots(2, 3)
    unused.axis("off")
    for backend in BACKENDS:
        found = figures[backend]
        batch.plot(BATCHES, found["batch"], marker="o", label=backend)
        size.plot(found["macs"], found["size"], marker="o", label=backend)
        channels.plot(found["channel macs"], found["channels"], marker="o", label=backend)
        count.plot(COUNTS, found["count"], marker="o", label=backend)
        workers.plot(WORKERS, found["workers"], marker="o", label=backend)
    batch.set(xscale="log", xlabel="images in a call (akidanet 0.5, 160)", ylabel="CPU ms an image")
    batch.set_xticks(BATCHES, BATCHES)
    batch.minorticks_off()
    size.set(xlabel="million MACs (akidanet 0.5, 64 to 224)", ylabel="CPU ms an image")
    count.set(xlabel="images altogether (ds_cnn)", ylabel="CPU s")
    channels.set(xlabel="million MACs (akidanet 0.25 to 1, 96)", ylabel="CPU ms an image")
    workers.set(xlabel="workers (10,000 images of ds_cnn)", ylabel="wall s")
    workers.set_xticks(WORKERS)
    for axes in (batch, size, channels, count, workers):
        axes.set_ylim(bottom=0)
        axes.legend()
        axes.grid(alpha=0.3)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=90)


def main() -> None:
    """Measure, then write the figures and the plot."""
    figures = {}
    for backend in BACKENDS:
        print(f"growth of {backend}", flush=True)
        macs, size = by_size(backend)
        channel_macs, channels = by_channels(backend)
        figures[backend] = {
            "batch": by_batch(backend),
            "macs": macs,
            "size": size,
            "channel macs": channel_macs,
            "channels": channels,
            "count": by_count(backend),
            "workers": by_workers(backend),
        }
    draw(figures)
    figures["machine"] = machine()
    OUTPUT.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
