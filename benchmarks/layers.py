"""Time of each layer: ``python -m benchmarks.layers`` (part of `make bench`)."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from benchmarks.nets import prepare
from simulator import Program, simulate
from simulator.plan import compile_program

OUTPUT = Path("docs/speed_layers.json")
NET, BATCH, ROUNDS = "akidanet05_224", 8, 15


def timed_steps(plan, images) -> dict[str, float]:
    """Return the seconds of each step of a plan whose steps are Python, in one run."""
    times, steps = {}, dict(plan.steps)

    def timed(name, run):
        def call(*arguments):
            start = time.process_time()
            result = run(*arguments)
            times[name] = time.process_time() - start
            return result

        return call

    for name, step in steps.items():
        step.run = timed(name, step.run)
    simulate(plan.program, images, batch_size=len(images), backend=plan)
    for step in steps.values():
        del step.run
    return times


def timed_rows(plan, images) -> dict[str, float]:
    """Return the seconds of the rows of each layer of a ``fast`` plan, in one run."""
    simulate(plan.program, images, batch_size=len(images), backend=plan)
    times = {}
    with plan.workspace() as work:
        tape = work.tapes[len(images)]
        tape.feed(images)
        for entry in tape.entries:
            start = time.process_time()
            tape.run(entry.rows)
            times[entry.layer.name] = time.process_time() - start
    return times


def main() -> None:
    """Run both backends alternately and write one row per layer."""
    folder = prepare(NET, oracle=False)
    program, images = Program.load(folder / "program.npz"), np.load(folder / "images.npy")[:BATCH]
    plans = {name: compile_program(program, name) for name in ("numpy", "fast")}
    timed = {"numpy": timed_steps, "fast": timed_rows}
    rounds = [
        {name: timed[name](plan, images) for name, plan in plans.items()} for _ in range(ROUNDS)
    ]

    def milliseconds(name: str, layer: str) -> float | None:
        times = [found[name][layer] for found in rounds if found[name].get(layer)]
        return 1e3 * float(np.median(times)) / BATCH if times else None

    rows = [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "path": getattr(plans["fast"].steps.get(layer.name), "path", "the layer's own"),
            "macs": layer.macs,
            **{name: milliseconds(name, layer.name) for name in plans},
        }
        for layer in program.layers
    ]
    report = {"machine": machine(), "net": NET, "layers": rows}
    OUTPUT.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
