"""Found widths beside uniform ones: accuracy and memory on the emulator.

    python -m benchmarks.mixes
    python -m benchmarks.mixes --only ds_cnn
    python -m benchmarks.mixes --model ../shared/field/mlperf_resnet8/model.h5

The first trains two models. The last takes a float model of other authors on crops of photographs
(it needs the package scikit-image), of which each picture is used for calibration, choice or test
only. Widths are chosen on images that neither training nor calibration has seen, and measured on
test images that nothing was chosen by, without and with refinement.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.gap_strategies import table
from benchmarks.refinement_inputs import crops
from pipeline.analysis.budget import ACTIVATION_KIB, WEIGHT_KIB
from pipeline.analysis.score import divergence
from pipeline.analysis.search import Found, Search
from pipeline.analysis.sensitivity import measure
from pipeline.analysis.variants import variants
from pipeline.analysis.widths import WEIGHTS, layer_widths
from pipeline.chips import convert
from pipeline.cli.parameters import load_any
from pipeline.config import Calibration, Data, Quantization, Training, Transforms
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.migration.migrate import migrate
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.train import train
from pipeline.transforms import Images, apply
from simulator import simulate
from simulator.classes import classify

FOLDER = Path("build/benchmarks/mixes")
TARGET = "akida_v2"
COMPARED = 32
"""Images on which a repaired model is compared with the one before."""
SAMPLES, CROPS = 1024, 600
CALIBRATION = ("astronaut.png", "coffee.png", "rocket.jpg")
CHOICE = ("motorcycle_left.png", "ihc.png")
TEST = ("chelsea.png", "retina.jpg")
"""Files of scikit-image; scikit-learn adds a picture to the first and to the last."""
LARGER = 1.25
"""Memory of the weights that one of the budgets allows, over that of 4 bits everywhere."""
TRAINED = {
    "akidanet_small": (["alpha=0.5", "input_shape=[28,28,1]", "version=2.0"], "fashion_mnist"),
    "ds_cnn": (["classes=10", "version=2.0"], "spoken_digits"),
}
SIZES = {"fashion_mnist": (12000, 10000, 2000), "spoken_digits": (3000, 1000, 500)}
"""Training and test images, and how many of the former widths are chosen on instead."""
HEADER = (
    *("model", "widths", "weights, bytes", "maps, bytes", "bits multiplied"),
    *("right", "right, refined", "lost, refined", "standard error", "loss", "loss, refined"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """A float model with images of three sources.

    Labels are None where only the classes of the float model are known.
    """

    name: str
    graph: Graph
    calibration: np.ndarray
    choice: tuple[np.ndarray, np.ndarray | None]
    test: tuple[np.ndarray, np.ndarray | None]


def trained_case(name: str, seed: int) -> Case:
    """Return a model that is trained here; one that was trained before is read from `FOLDER`."""
    parameters, source = TRAINED[name]
    train_samples, test_samples, chosen = SIZES[source]
    data = load_data(Data(name=source, train_samples=train_samples, test_samples=test_samples))
    x, y = np.asarray(data.x_train), np.asarray(data.y_train)
    path = FOLDER / f"{name}_{len(x) - chosen}_{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        graph = build_graph(read_architecture(name, parameters), seed=seed)
        options = Training(epochs=10, batch_size=64)
        graph, _ = train(graph, x[:-chosen], y[:-chosen], options=options, seed=seed)
        save_graph(path, graph)
    graph, _ = apply(load_graph(path), Transforms(names=("gap_after_relu",)), x[:64])
    return Case(
        name=f"{name}, {source}",
        graph=graph,
        calibration=x[:SAMPLES],
        choice=(x[-chosen:], y[-chosen:]),
        test=(np.asarray(data.x_test), np.asarray(data.y_test)),
    )


def file_case(path: str, scale: float) -> Case:
    """Return a float model of other authors, on crops of photographs."""
    graph = load_any(path)
    parts = [part * np.float32(scale) for part in photograph_crops(graph.input.attrs["shape"][0])]
    known = parts[0][:COMPARED]
    moved = migrate(graph, TARGET, known, calibration=Images(images=known))
    calibration, choice, test = map(moved.feeding, parts)
    return Case(
        name=f"{Path(path).parent.name}, photographs",
        graph=moved.after,
        calibration=calibration,
        choice=(choice, None),
        test=(test, None),
    )


def photograph_crops(size: int) -> list[np.ndarray]:
    """Return crops to calibrate on, to choose widths on and to test on: values 0 to 255."""
    import skimage
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder = Path(skimage.__file__).parent / "data"
    china, flower = load_sample_images().images
    pictures = [
        [np.asarray(Image.open(folder / name).convert("RGB")) for name in names]
        for names in (CALIBRATION, CHOICE, TEST)
    ]
    pictures[0].append(china)
    pictures[2].append(flower)
    return [crops(part, CROPS, size, seed) for seed, part in enumerate(pictures)]


def rows(case: Case) -> Iterator[list[str]]:
    """Yield the table's lines of one model."""
    calibration = Calibration(samples=len(case.calibration))
    options = Quantization(calibration=calibration, refine="layers")
    made = variants(case.graph, case.calibration, options, TARGET)
    images, labels = case.choice
    search = Search(made, measure(made, images, labels), images, labels, progress=logging.info)
    for name, found in widths(search):
        logging.info("%s, %s: %s", case.name, name, found.score)
        yield [case.name, name, *costs(found), *figures(case, made, found, options)]


def widths(search: Search) -> Iterator[tuple[str, Found]]:
    """Yield uniform widths and those found in the memory of the narrower ones."""
    wide, narrow = search.uniform(8), search.uniform(4)
    weights = search.verified({site: 4 for site in search.losses if site[1] == WEIGHTS})
    small = narrow.cost.weight_bytes / 1024
    yield "8 bits", wide
    yield "4-bit weights, 8-bit outputs", weights
    yield f"found, {LARGER:g} times its weights", search.within({WEIGHT_KIB: LARGER * small})
    yield "4 bits", narrow
    maps = narrow.cost.activation_bytes / 1024
    yield "found, memory of 4 bits", search.within({WEIGHT_KIB: small, ACTIVATION_KIB: maps})


def costs(found: Found) -> list[str]:
    """Return the cost of widths, for the table."""
    cost = found.cost
    return [f"{n:,}" for n in (cost.weight_bytes, cost.activation_bytes, cost.macs_bits)]


def figures(case: Case, made, found: Found, options) -> list[str]:
    """Return what widths give on the test images, without and with refinement."""
    images, labels = case.test
    wanted = forward(made.graph, images)
    expected = classify(wanted)
    labels = expected if labels is None else labels
    layers = layer_widths((*made.widest, *found.choices))
    refined = quantize(case.graph, case.calibration, replace(options, layers=layers))
    outputs = [
        simulate(program, images).reshape(wanted.shape)
        for program in (found.program, convert(refined, TARGET))
    ]
    right = [classify(values) == labels for values in outputs]
    lost = (expected == labels).astype(float) - right[1]
    loss = [divergence(wanted, values) for values in outputs]
    error = np.sqrt(len(images))
    return [
        *(f"{hits.mean():.2%}" for hits in right),
        f"{100 * lost.mean():+.2f}",
        f"{100 * lost.std() / error:.2f}",
        *(f"{each.mean():.5f} ({each.std() / error:.5f})" for each in loss),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--model", help="float model of other authors, instead of training")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of its pixels 0 to 255")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.model:
        cases = [file_case(options.model, options.scale)]
    else:
        names = (name for name in TRAINED if options.only in name)
        cases = (trained_case(name, options.seed) for name in names)
    print(table(HEADER, [row for case in cases for row in rows(case)]))


if __name__ == "__main__":
    run("mixes", main)
