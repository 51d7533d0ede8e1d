"""Processor time of the sensitivities of AkidaNet 0.25 at 96x96 on 1,000 images.

    python -m benchmarks.sensitivities
    python -m benchmarks.sensitivities --backend numpy --images 100

Weights are random: the time does not depend on them. Measured is every width of every kernel and
every output that the chip has.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from pipeline.analysis.sensitivity import measure
from pipeline.analysis.variants import variants
from pipeline.config import Calibration, Quantization
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.stage import run


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--backend", default="fast")
    options = parser.parse_args(arguments)
    parameters = ["alpha=0.25", "input_shape=[96,96,3]", "version=2.0"]
    graph = build_graph(read_architecture("akidanet", parameters), seed=0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.images, 96, 96, 3), dtype=np.uint8)
    settings = Quantization(calibration=Calibration(samples=32))
    made = variants(graph, images[:32], settings, "akida_v2")
    start, wall = time.process_time(), time.perf_counter()
    found = measure(made, images, backend=options.backend)
    spent, wall = time.process_time() - start, time.perf_counter() - wall
    layers = sum(entry.layers_run for entry in found.entries)
    print(
        f"{len(found.entries)} widths on {len(images):,} images, {layers} layers run:"
        f" {spent:.0f} s of processor time, {wall:.0f} s"
    )


if __name__ == "__main__":
    run("sensitivities", main)
