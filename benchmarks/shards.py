"""Evaluate a network on many images: ``python -m benchmarks.shards FOLDER BACKEND WORKERS IMAGES``.

Prints the CPU and wall seconds of the run, including the start of further workers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from pipeline.evaluation.shards import Work, run_shards
from pipeline.graph.archive import load_graph
from simulator import Program


def main() -> None:
    """Evaluate images that repeat those of the folder."""
    folder, backend, workers, count = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    program = Program.load(folder / "program.npz")
    work = Work(
        program=program,
        graph=load_graph(folder / "graph.npz"),
        batch_size=100,
        classes=True,
        backend=backend,
    )
    images = np.resize(np.load(folder / "images.npy"), (count, *program.input_shape))
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    run_shards(work, images, workers=workers)
    wall, cpu = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
    print(json.dumps({"cpu": cpu, "wall": wall}))


if __name__ == "__main__":
    main()
