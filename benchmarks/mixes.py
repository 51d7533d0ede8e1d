"""Found widths beside uniform ones: accuracy and memory on the emulator.

    python -m benchmarks.mixes
    python -m benchmarks.mixes --only ds_cnn
    python -m benchmarks.mixes --model ../shared/field/mlperf_resnet8/model.h5

The first trains two models. The last takes a float model of other authors on crops of photographs
(it needs the package scikit-image), of which each picture is used for calibration, choice or test
only. Widths are chosen on images that neither training nor calibration has seen, and measured on
test images that nothing was chosen by, all refined. Each found mix is compared, image by image,
with the uniform widths within its budget that lose least on the images of the choice.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.gap_strategies import table
from benchmarks.refinement_inputs import crops
from pipeline.analysis.budget import ACTIVATION_KIB, MACS_BITS, MEMORY_KIB, WEIGHT_KIB
from pipeline.analysis.refined_search import RefinedSearch
from pipeline.analysis.score import divergence
from pipeline.analysis.search import Search
from pipeline.analysis.sensitivity import measure
from pipeline.analysis.trials import Found
from pipeline.analysis.variants import variants
from pipeline.analysis.widths import WEIGHTS
from pipeline.cli.parameters import load_any
from pipeline.config import Calibration, Data, Quantization, Training, Transforms
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.migration.migrate import migrate
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
    *("right", "lost", "loss", "beside", "right, more", "loss, less"),
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """What widths give on the test images.

    Attributes
    ----------
    found : Found
    right : bool array of shape (n,)
    loss : float64 array of shape (n,)
        Divergence from the float model.
    """

    found: Found
    right: np.ndarray
    loss: np.ndarray


def rows(case: Case) -> Iterator[list[str]]:
    """Yield the table's lines of one model."""
    options = Quantization(calibration=Calibration(samples=len(case.calibration)))
    made = variants(case.graph, case.calibration, options, TARGET)
    images, labels = case.choice
    given = (made, measure(made, images, labels), images, labels)
    plain, refined = Search(*given), RefinedSearch(*given, progress=logging.info)
    uniform = {name: measured(case, made, found) for name, found in uniform_widths(refined).items()}
    for name, one in uniform.items():
        yield [case.name, name, *costs(one.found), *figures(case, made, one), "", "", ""]
    for name, budget in budgets(uniform):
        fitting = {n: one for n, one in uniform.items() if one.found.cost.within(budget)}
        beside = min(fitting, key=lambda n: fitting[n].found.score.loss)
        for search, how in ((plain, ", chosen unrefined"), (refined, "")):
            # The same widths are refined alike, however they were chosen.
            one = measured(case, made, refined.verified(search.within(budget).widths))
            shown = [*figures(case, made, one), beside, *gains(one, fitting[beside])]
            yield [case.name, f"found, {name}{how}", *costs(one.found), *shown]


def uniform_widths(search: Search) -> dict[str, Found]:
    """Return widths that are the same in all kernels, and in all outputs."""
    kernels = {site for site in search.losses if site[1] == WEIGHTS}
    outputs = search.losses.keys() - kernels
    narrow = {
        "8 bits": (),
        "8-bit weights, 4-bit outputs": outputs,
        "4-bit weights, 8-bit outputs": kernels,
        "4 bits": {*kernels, *outputs},
    }
    return {name: search.verified(dict.fromkeys(sites, 4)) for name, sites in narrow.items()}


def budgets(uniform: dict[str, Measured]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield names and budgets: all but one are what uniform widths cost."""
    small, weights, outputs = (
        uniform[name].found.cost
        for name in ("4 bits", "4-bit weights, 8-bit outputs", "8-bit weights, 4-bit outputs")
    )
    yield f"{LARGER:g} times the weights of 4 bits", {WEIGHT_KIB: LARGER * small.of(WEIGHT_KIB)}
    yield "memory of 8-bit weights, 4-bit outputs", {MEMORY_KIB: outputs.of(MEMORY_KIB)}
    yield "memory of 4 bits", {name: small.of(name) for name in (WEIGHT_KIB, ACTIVATION_KIB)}
    yield "work of 4-bit weights, 8-bit outputs", {MACS_BITS: weights.of(MACS_BITS)}


def costs(found: Found) -> list[str]:
    """Return the cost of widths, for the table."""
    cost = found.cost
    return [f"{n:,}" for n in (cost.weight_bytes, cost.activation_bytes, cost.macs_bits)]


def measured(case: Case, made, found: Found) -> Measured:
    """Return what a refined program gives on the test images."""
    images, labels = case.test
    wanted = forward(made.graph, images)
    outputs = simulate(found.program, images).reshape(wanted.shape)
    labels = classify(wanted) if labels is None else labels
    return Measured(
        found=found, right=classify(outputs) == labels, loss=divergence(wanted, outputs)
    )


def figures(case: Case, made, one: Measured) -> list[str]:
    """Return the share of right classes, the points lost from the float model, and the loss."""
    images, labels = case.test
    expected = classify(forward(made.graph, images))
    lost = (expected == (expected if labels is None else labels)).astype(float) - one.right
    return [f"{one.right.mean():.2%}", with_error(100 * lost, "+.2f"), with_error(one.loss, ".5f")]


def gains(one: Measured, other: Measured) -> list[str]:
    """Return by how much a mix is better than uniform widths, in points and in divergence."""
    right = 100 * (one.right.astype(float) - other.right)
    return [with_error(right, "+.2f"), with_error(other.loss - one.loss, "+.5f")]


def with_error(values: np.ndarray, form: str) -> str:
    """Return the mean over images, with its standard error."""
    error = values.std() / np.sqrt(len(values))
    return f"{values.mean():{form}} ({error:{form.lstrip('+')}})"


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
