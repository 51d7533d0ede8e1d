"""How close quantized models are to their float selves, for models without labels.

    python -m benchmarks.closeness m.h5 --calibration a.npy --test b.npy --output build/closeness

The model (.h5, .keras, .onnx, .npz) is carried to Akida 2.0, calibrated on some of the first
inputs, spread over the file, and compared with its float outputs, before a final softmax, on the
second ones, which should come from other sources. Every figure is a line of a JSON file in the
output folder; what is there is not measured again, and ``--table`` prints it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import pool
from benchmarks.gap_strategies import table
from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.migration.migrate import migrate
from pipeline.models.file import read_float
from pipeline.preparation.head import cut_head
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from simulator import simulate
from simulator.classes import classify

TARGET = "akida_v2"
BITS, COUNTS = ("8/8/8", "8/4/8", "8/4/4"), (32, 100, 300, 1000)
SCALES, METHODS = ("axis", "tensor"), ("plain", "refined", "distilled")
HEADER = (
    *("model", "images", "bits", "scales", "plain, dB", "refined, dB", "distilled, dB"),
    *("same class, plain", "refined", "distilled", "error", "kept", "seconds"),
)


@dataclass(frozen=True)
class Point:
    """One model, quantized in one way on some images."""

    model: str
    images: int
    bits: str
    scales: str
    method: str


def options(point: Point) -> Quantization:
    """Return how a point is quantized."""
    first, weights, activations = map(int, point.bits.split("/"))
    return Quantization(
        input_weight_bits=first,
        weight_bits=weights,
        activation_bits=activations,
        per_tensor_activations=point.scales == "tensor",
        refine="none" if point.method == "plain" else "layers",
        train="distill" if point.method == "distilled" else "none",
        calibration=Calibration(batch_size=100),
    )


def figures(graph: Graph, samples: np.ndarray, images: np.ndarray, point: Point) -> dict:
    """Return the figures of a point: of a model quantized on samples, on other images."""
    chosen, start = options(point), time.process_time()
    quantized = quantize(graph, samples, chosen)
    if chosen.train != "none":
        from pipeline.training.registers.train import train_registers

        quantized, _ = train_registers(graph, quantized, samples, None, chosen)
    seconds = time.process_time() - start
    noted = [note.text for note in quantized.notes if note.kind in ("refined", "trained")]
    found = simulate(convert(quantized, TARGET), images)
    return {**asdict(point), "seconds": seconds, "notes": noted, **compared(graph, images, found)}


def compared(graph: Graph, images: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Return decibels, share of the float model's classes, and its standard error."""
    classes = graph.shapes[graph.output][-1]
    wanted = forward(cut_head(graph)[0], images, batch_size=16).reshape(len(images), -1)
    found = found.reshape(wanted.shape)
    noise = np.square(found - wanted, dtype=np.float64).mean()
    same = classify(found.reshape(-1, classes)) == classify(wanted.reshape(-1, classes))
    by_image = same.reshape(len(images), -1).mean(axis=1)
    return {
        "level": float(10 * np.log10(wanted.var(axis=0, dtype=np.float64).mean() / noise)),
        "same": float(same.mean()),
        "error": float(by_image.std() / np.sqrt(len(images))),
    }


def points(models: Iterable[str], chosen) -> Iterator[Point]:
    """Yield what is to be measured, the most costly first."""
    methods = sorted(chosen.methods, key=METHODS.index, reverse=True)
    for method, count in itertools.product(methods, sorted(chosen.images, reverse=True)):
        for name, bits, scales in itertools.product(models, chosen.bits, chosen.scales):
            yield Point(name, count, bits, scales, method)


def rows(output: Path) -> Iterator[list[str]]:
    """Yield the table's lines: the methods of each point beside each other."""
    by_point = _measured(output)
    for point in sorted({replace(each, method="") for each in by_point}, key=astuple):
        ways = [by_point.get(replace(point, method=method)) for method in METHODS]
        levels = ("" if row is None else f"{row['level']:.1f}" for row in ways)
        same = ("" if row is None else f"{row['same']:.1%}" for row in ways)
        refined = ways[1] or ways[0]
        kept = "".join("no" if note.startswith("not") else "yes" for note in refined["notes"][:1])
        last = (f"{refined['error']:.1%}", kept, f"{refined['seconds']:.0f}")
        yield [point.model, str(point.images), point.bits, point.scales, *levels, *same, *last]


def _measured(output: Path) -> dict[Point, dict]:
    found = [json.loads(line) for path in sorted(output.glob("*.json")) for line in path.open()]
    return {Point(**{key: row[key] for key in Point.__annotations__}): row for row in found}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every measurement of closeness takes."""
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--images", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--bits", nargs="+", default=BITS)
    parser.add_argument("--scales", nargs="+", default=SCALES, choices=SCALES)
    parser.add_argument("--methods", nargs="+", default=METHODS[:2], choices=METHODS)
    parser.add_argument("--table", action="store_true", help="print what was measured, no more")


def measure(function: Callable[..., dict], jobs: Sequence[tuple], chosen) -> None:
    """Measure what is missing, unless only the table is wanted, and print all that there is.

    The last of a job's arguments is its point.
    """
    chosen.output.mkdir(parents=True, exist_ok=True)
    if not chosen.table:
        known = _measured(chosen.output)
        todo = [job for job in jobs if job[-1] not in known]
        path = chosen.output / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
        with path.open("w") as file:
            for _, row in pool.measured(function, todo, chosen.processes):
                print(json.dumps(row), file=file, flush=True)
    print(table(HEADER, list(rows(chosen.output))))


def of_file(path: Path, calibration: Path, test: Path, point: Point) -> dict:
    """Return the figures of a model in a file."""
    samples, images = np.load(calibration), np.load(test)
    moved = migrate(read_float(path), TARGET, samples[:8])
    some = samples[np.arange(point.images) * len(samples) // point.images]
    return figures(moved.after, moved.feeding(some), moved.feeding(images), point)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a model, and print a table of all that the output folder holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path, required=True, help=".npy")
    parser.add_argument("--test", type=Path, required=True, help=".npy")
    add_arguments(parser)
    chosen = parser.parse_args(arguments)
    files = (chosen.model, chosen.calibration, chosen.test)
    jobs = [(*files, point) for point in points([chosen.model.parent.name], chosen)]
    measure(of_file, jobs, chosen)


if __name__ == "__main__":
    run("closeness", main)
