"""Time against batch size, image size and number of images: ``python -m benchmarks.growth``.

Part of `make bench`; writes the figures and a plot of them.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.nets import prepare, sized_program
from simulator import Program, simulate
from simulator.plan import compile_program

OUTPUT, PICTURE = Path("docs/speed_growth.json"), Path("docs/images/speed_growth.png")
BACKENDS = ("numpy", "fast")
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIZES = (64, 96, 128, 160, 192, 224)
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
    rng, macs, calls = np.random.default_rng(0), [], {}
    for size in SIZES:
        program = sized_program(size)
        macs.append(sum(layer.macs for layer in program.layers) / 1e6)
        images = rng.integers(0, 256, (8, size, size, 3), dtype=np.uint8)
        plan = compile_program(program, backend)
        calls[size] = lambda p=program, i=images, plan=plan: simulate(p, i, backend=plan)
    return macs, [1e3 * value / 8 for value in seconds(calls).values()]


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

    figure = Figure(figsize=(10, 3), layout="constrained")
    FigureCanvasAgg(figure)
    batch, size, count = figure.subplots(1, 3)
    for backend in BACKENDS:
        found = figures[backend]
        batch.plot(BATCHES, found["batch"], marker="o", label=backend)
        size.plot(found["macs"], found["size"], marker="o", label=backend)
        count.plot(COUNTS, found["count"], marker="o", label=backend)
    batch.set(xscale="log", xlabel="images in a call (akidanet 0.5, 160)", ylabel="CPU ms an image")
    batch.set_xticks(BATCHES, BATCHES)
    batch.minorticks_off()
    size.set(xlabel="million MACs (akidanet 0.5, 64 to 224)", ylabel="CPU ms an image")
    count.set(xlabel="images altogether (ds_cnn)", ylabel="CPU s")
    for axes in (batch, size, count):
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
        figures[backend] = {
            "batch": by_batch(backend),
            "macs": macs,
            "size": size,
            "count": by_count(backend),
        }
    OUTPUT.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    draw(figures)


if __name__ == "__main__":
    main()
