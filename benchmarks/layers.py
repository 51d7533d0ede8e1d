"""Time of each layer: ``python -m benchmarks.layers`` (part of `make bench`)."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.nets import prepare
from simulator import Program, simulate
from simulator.plan import compile_program

OUTPUT = Path("docs/speed_layers.json")
NET, BATCH, ROUNDS = "akidanet05_224", 8, 15
BACKENDS = ("numpy", "fast")


class Clock:
    """Timer of each layer of a compiled program.

    Parameters
    ----------
    plan : simulator.plan.Plan
        Its steps are wrapped; layers without a step are not timed.
    """

    def __init__(self, plan):
        self.rounds: list[dict[str, float]] = []
        for name, step in plan.steps.items():
            step.run = self._timed(name, step.run)

    def _timed(self, name, run):
        def timed(*arguments):
            start = time.perf_counter()
            result = run(*arguments)
            self.rounds[-1][name] = time.perf_counter() - start
            return result

        return timed

    def milliseconds(self, name: str) -> float | None:
        """Return the median over rounds for one image."""
        times = [layers[name] for layers in self.rounds if name in layers]
        return 1e3 * float(np.median(times)) / BATCH if times else None


def main() -> None:
    """Run both backends alternately and write one row per layer."""
    folder = prepare(NET, oracle=False)
    program, images = Program.load(folder / "program.npz"), np.load(folder / "images.npy")[:BATCH]
    plans = {name: compile_program(program, name) for name in BACKENDS}
    for plan in plans.values():
        simulate(program, images, batch_size=BATCH, backend=plan)
    clocks = {name: Clock(plan) for name, plan in plans.items()}
    for _ in range(ROUNDS):
        for name, plan in plans.items():
            clocks[name].rounds.append({})
            simulate(program, images, batch_size=BATCH, backend=plan)
    rows = [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "path": getattr(plans["fast"].steps.get(layer.name), "path", "the layer's own"),
            "macs": layer.macs,
            **{name: clock.milliseconds(layer.name) for name, clock in clocks.items()},
        }
        for layer in program.layers
    ]
    OUTPUT.write_text(json.dumps({"net": NET, "layers": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
