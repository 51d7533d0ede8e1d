"""What refining gains on trained networks of other authors, on photographs and faces.

    python -m benchmarks.packaged FOLDER --output build/packaged --processes 2

FOLDER holds unpacked packages (`benchmarks.packaged_models`) and ``photographs/``, pictures of any
size. Every fourth picture, in the order of names, tests; crops of the others calibrate, those of
one picture together, so that held-out images are of pictures of their own. The face networks take
the faces that scikit-image ships in ``lfw_subset.npy``, half of them to calibrate. Options and
output are those of `benchmarks.closeness`.

    python -m benchmarks.packaged FOLDER --only MLPerf --third 1 --output build/packaged_1

calibrates on two thirds of the pictures that calibrate, and tests on the other third: choices are
made on these.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.closeness import TARGET, Point, add_arguments, figures, measure, points
from benchmarks.packaged_models import FACES, MODELS
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.graph import Graph
from pipeline.migration.migrate import migrate
from pipeline.stage import run

TESTS, EVERY = 240, 4
"""Test images, and of how many pictures one tests."""


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


def pictures(folder: Path, model: str, *, test: bool, third: int | None = None) -> list[np.ndarray]:
    """Return the pictures that a model is calibrated on, or tested: uint8 (height, width, 3).

    With `third`, one third of those that calibrate tests instead.
    """
    if third is not None:
        found = pictures(folder, model, test=False)
        return [p for n, p in enumerate(found) if (n * 3 // len(found) == third - 1) == test]
    if model in FACES:
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


def measured(folder: Path, output: Path, tests: int, third: int | None, point: Point) -> dict:
    """Return the figures of a point on some test images."""
    graph = carried(folder, point.model, output)
    side = graph.shapes[graph.input.name][0]
    calibrating, tested = (
        pictures(folder, point.model, test=test, third=third) for test in (False, True)
    )
    samples = crops(calibrating, point.images, side, seed=1)
    images = crops(tested, tests, side, seed=2)
    return figures(graph, samples, images, point)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table of all that the output folder holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--tests", type=int, default=TESTS, help="test images")
    parser.add_argument("--third", type=int, choices=(1, 2, 3), help="of calibration, to test on")
    add_arguments(parser)
    chosen = parser.parse_args(arguments)
    names = [name for name in MODELS if chosen.only in name]
    chosen.output.mkdir(parents=True, exist_ok=True)
    for name in () if chosen.table else names:
        carried(chosen.folder, name, chosen.output)
    given = (chosen.folder, chosen.output, chosen.tests, chosen.third)
    measure(measured, [(*given, point) for point in points(names, chosen)], chosen)


if __name__ == "__main__":
    run("packaged", main)
