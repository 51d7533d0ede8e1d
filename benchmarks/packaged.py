"""What refining and distilling gain on trained networks of other authors, on photographs.

    python -m benchmarks.packaged FOLDER --output build/packaged --processes 2

FOLDER holds unpacked packages (`benchmarks.packaged_models`) and ``photographs/``, pictures of any
size. Every fourth picture, in the order of names, tests; crops of the others calibrate, those of
one picture together, so that held-out images are of pictures of their own. The face networks take
the faces that scikit-image ships in ``lfw_subset.npy``, half of them to calibrate. Each figure is a
line of a JSON file in the output folder, from which ``--table`` prints a table again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.gap_strategies import table
from benchmarks.packaged_models import MODELS
from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.migration.migrate import migrate
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from simulator import simulate
from simulator.classes import classify

TARGET = "akida_v2"
BITS, COUNTS, TESTS = ("8/8/8", "8/4/8", "8/4/4"), (32, 100, 300, 1000), 240
SCALES, REFINE = ("axis", "tensor"), ("none", "layers")
EVERY = 4
"""One picture in so many tests."""
HEADER = (
    *("model", "images", "bits", "scales", "plain, dB", "refined, dB", "same class, plain"),
    *("refined", "standard error", "kept", "seconds"),
)


@dataclass(frozen=True)
class Point:
    """One model, quantized in one way."""

    model: str
    images: int
    bits: str
    scales: str
    refine: str


def crops(pictures: Sequence[np.ndarray], count: int, side: int, seed: int) -> np.ndarray:
    """Return square crops of random places and sizes, scaled to `side`, picture by picture."""
    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        picture = pictures[number * len(pictures) // count]
        height, width = picture.shape[:2]
        least = min(height, width)
        size = int(rng.integers(least * 2 // 5, least + 1))
        top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
        crop = Image.fromarray(picture[top : top + size, left : left + size])
        crop = np.asarray(crop.resize((side, side), Image.BILINEAR))
        made.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return np.stack(made)


def pictures(folder: Path, model: str, *, test: bool) -> list[np.ndarray]:
    """Return the pictures that a model is calibrated on, or tested: uint8 (height, width, 3)."""
    if model in ("face-api expression", "face-api gender"):
        found = np.load(next(folder.rglob("lfw_subset.npy")))[:100]
        found = np.repeat(np.uint8(np.clip(found, 0, 1) * 255)[..., None], 3, -1)
        return list(found[50:] if test else found[:50])
    paths = sorted((folder / "photographs").iterdir())
    chosen = [path for n, path in enumerate(paths) if (n % EVERY == EVERY - 1) == test]
    return [np.asarray(Image.open(path).convert("RGB")) for path in chosen]


def carried(folder: Path, name: str, output: Path) -> Graph:
    """Return a model migrated to the chip; one that was migrated before is read."""
    path = output / f"{name}.npz"
    if not path.exists():
        graph = MODELS[name](folder)
        side = graph.shapes[graph.input.name][0]
        samples = crops(pictures(folder, name, test=False), 8, side, seed=0)
        save_graph(path, migrate(graph, TARGET, samples).after)
    return load_graph(path)


def options(point: Point) -> Quantization:
    """Return how a point is quantized."""
    first, weights, activations = map(int, point.bits.split("/"))
    return Quantization(
        input_weight_bits=first,
        weight_bits=weights,
        activation_bits=activations,
        per_tensor_activations=point.scales == "tensor",
        refine=point.refine,
        calibration=Calibration(batch_size=100),
    )


def measured(folder: Path, output: Path, point: Point) -> dict:
    """Return the figures of a point."""
    graph = carried(folder, point.model, output)
    side = graph.shapes[graph.input.name][0]
    samples = crops(pictures(folder, point.model, test=False), point.images, side, seed=1)
    images = crops(pictures(folder, point.model, test=True), TESTS, side, seed=2)
    start = time.process_time()
    quantized = quantize(graph, samples, options(point))
    seconds = time.process_time() - start
    return {**asdict(point), "seconds": seconds, **compared(graph, quantized, images)}


def compared(graph: Graph, quantized, images: np.ndarray) -> dict:
    """Return decibels and share of the float model's classes of a quantized model."""
    classes = graph.shapes[graph.output][-1]
    wanted = forward(graph, images, batch_size=16).reshape(len(images), -1)
    found = simulate(convert(quantized, TARGET), images).reshape(wanted.shape)
    noise = np.square(found - wanted, dtype=np.float64).mean()
    same = classify(found.reshape(-1, classes)) == classify(wanted.reshape(-1, classes))
    noted = [note.text for note in quantized.notes if note.kind == "refined"]
    return {
        "level": 10 * np.log10(wanted.var(axis=0, dtype=np.float64).mean() / noise),
        "same": float(same.mean()),
        "error": float(same.reshape(len(images), -1).mean(axis=1).std() / np.sqrt(len(images))),
        "notes": noted,
    }


def points(chosen) -> Iterator[Point]:
    """Yield what is to be measured, the most costly first."""
    for count in sorted(chosen.images, reverse=True):
        for name in MODELS:
            if chosen.only in name:
                for bits, scales, refine in itertools.product(chosen.bits, SCALES, REFINE):
                    yield Point(name, count, bits, scales, refine)


def rows(output: Path) -> Iterator[list[str]]:
    """Yield the table's lines: each refined point beside the plain one."""
    found = [json.loads(line) for path in output.glob("*.json") for line in path.open()]
    by_point = {Point(**{key: row[key] for key in Point.__annotations__}): row for row in found}
    for point, row in sorted(by_point.items(), key=lambda item: astuple(item[0])):
        plain = by_point.get(replace(point, refine="none"))
        if point.refine == "none" or plain is None:
            continue
        kept = "no" if row["notes"][0].startswith("not") else "yes"
        levels = (f"{each['level']:.1f}" for each in (plain, row))
        same = (f"{each['same']:.1%}" for each in (plain, row))
        figures = (*levels, *same, f"{row['error']:.1%}", kept, f"{row['seconds']:.0f}")
        yield [point.model, str(point.images), point.bits, point.scales, *figures]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table of all that the output folder holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=Path("build/packaged"))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--images", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--bits", nargs="+", default=BITS)
    parser.add_argument("--table", action="store_true", help="print what was measured, no more")
    chosen = parser.parse_args(arguments)
    chosen.output.mkdir(parents=True, exist_ok=True)
    if not chosen.table:
        _measure(chosen)
    print(table(HEADER, list(rows(chosen.output))))


def _measure(chosen) -> None:
    from joblib import Parallel, delayed, parallel_config

    for name in MODELS:
        if chosen.only in name:
            carried(chosen.folder, name, chosen.output)
    path = chosen.output / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    with (
        path.open("w") as file,
        parallel_config("loky", inner_max_num_threads=1),
    ):
        job = delayed(measured)
        jobs = (job(chosen.folder, chosen.output, point) for point in points(chosen))
        for row in Parallel(n_jobs=chosen.processes, return_as="generator_unordered")(jobs):
            logging.info("%s", row)
            print(json.dumps(row), file=file, flush=True)


if __name__ == "__main__":
    run("packaged", main)
