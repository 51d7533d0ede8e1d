"""Measure how much saturation a model tolerates: share of saturated values against agreement.

Models are trained, converted to Akida 2.0 and quantized to 8 bits. Then one register of a layer, or
of all layers, is narrowed so that more values saturate, and the classes are compared with those of
the unchanged program. `pipeline.messages.saturation.HARMLESS` follows from the page. Run from the
repository's root (minutes):

    python -m benchmarks.saturation > docs/saturation.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.gap_strategies import CASES, describe, table
from pipeline.chips import convert
from pipeline.config import Data, Gap, Quantization, Training, Transforms
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.messages.saturation import HARMLESS, largest_share
from pipeline.quantization.quantize import quantize
from pipeline.training.train import train
from pipeline.transforms import Images, apply
from simulator import Program, simulate
from simulator.classes import classify
from simulator.statistics import Statistics

REGISTERS = {"buffer_bits": 8, "post_op_buffer_bits": 8, "output_bits": 2}
"""Register width to the smallest value that is tried."""
WORST = 0.5
FEW = 40
"""Number of images that are run first to see if anything saturates."""
EDGES = (0.0001, 0.001, HARMLESS, 0.02, 0.05, 0.2, 1)
PAGE = """# How much saturation is harmless

Made by `python -m benchmarks.saturation`.

{models} models were trained on the digits, converted to Akida 2.0 and quantized to 8 bits. One
width (of the accumulator, of the scaled accumulator, or of the output) was narrowed, in one layer
or in all, and the classes of {images} test images compared with those of the unchanged program.
*Share* is the largest share of values of one kind that saturate in one layer.

{table}

Up to a share of {harmless:.1%} per layer, no program changed more than {loss:.1%} of its classes.
`crossgrade simulate`, the stage `evaluate` and `make repro` treat it as harmless, and warn above.
"""


@dataclass(frozen=True)
class Point:
    """Narrowed program: its largest share of saturated values, and its agreement in class."""

    share: float
    agreement: float


def programs(count: int, data) -> Iterator[Program]:
    """Yield programs of trained models at 8 bits for Akida 2.0."""
    images = Images(images=data.x_train)
    options = Transforms(
        names=("unfuse_separable", "gap_after_relu"), gap=Gap(strategy="exact", samples=256)
    )
    for case in CASES[:count]:
        graph = build_graph(describe(case, data.shape), seed=case.seed)
        graph, _ = train(graph, data.x_train, data.y_train, options=Training(), seed=case.seed)
        graph, _ = apply(graph, options, data.x_train[:64], images)
        print(f"trained {case.name}", file=sys.stderr)
        yield convert(quantize(graph, data.x_train[:1024], Quantization()), "akida_v2")


def narrowed(program: Program) -> Iterator[list[Program]]:
    """Yield programs with one register narrowed step by step, in one layer or in all layers."""
    for register, least in REGISTERS.items():
        having = [layer.name for layer in program.layers if hasattr(layer, register)]
        for names in (*([name] for name in having), having):
            widest = max(getattr(program.by_name[name], register) for name in names)
            yield [_with(program, names, register, bits) for bits in range(widest - 1, least, -1)]


def _with(program, names, register, bits) -> Program:
    layers = (
        replace(layer, **{register: min(getattr(layer, register), bits)})
        if layer.name in names
        else layer
        for layer in program.layers
    )
    return replace(program, layers=tuple(layers))


def measure(program: Program, images: np.ndarray) -> Iterator[Point]:
    """Yield a point for each narrowed program in which values saturate."""
    expected = classify(simulate(program, images))
    for others in narrowed(program):
        for other in others:
            if not run(other, images[:FEW])[1]:
                continue
            found, share = run(other, images)
            yield Point(share, float(np.mean(found == expected)))
            if share > WORST:
                break  # what is narrower still is worse


def run(program: Program, images: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the class of each image, and the largest share of saturated values in a layer."""
    statistics = Statistics(program)
    found = classify(simulate(program, images, statistics=statistics))
    return found, largest_share(statistics.saturations())


def rows(points: list[Point]) -> Iterator[list[str]]:
    """Yield the rows of the table: points grouped by their share."""
    low = 0.0
    for high in EDGES:
        found = [point.agreement for point in points if low < point.share <= high]
        if found:
            cells = (f"{value:.2%}" for value in (np.mean(found), min(found)))
            yield [f"up to {high:.4g}", str(len(found)), *cells]
        low = high


def main() -> None:
    """Train models, narrow registers, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=2, help="how many")
    arguments = parser.parse_args()
    data = load_data(Data(name="digits"))
    points = [
        point
        for program in programs(arguments.models, data)
        for point in measure(program, data.x_test)
    ]
    below = [point.agreement for point in points if point.share <= HARMLESS]
    header = ["share of a layer's values", "programs", "same class, mean", "least"]
    print(
        PAGE.format(
            models=arguments.models,
            images=len(data.x_test),
            table=table(header, list(rows(points))),
            harmless=HARMLESS,
            loss=1 - min(below),
        ),
        end="",
    )


if __name__ == "__main__":
    main()
