"""Run a network over many images: ``python -m benchmarks.shards FOLDER BACKEND WORKERS IMAGES``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from pipeline.graph.archive import load_graph
from pipeline.shards import Work, run_shards
from simulator import Program


def main() -> None:
    """Answer images that repeat those of the folder."""
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
    run_shards(work, images, workers=workers)


if __name__ == "__main__":
    main()
