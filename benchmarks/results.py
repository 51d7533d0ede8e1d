"""Accuracy lost from float to either chip: models x data x bit widths x ways to quantize.

    python -m benchmarks.results --processes 2
    python -m benchmarks.results --processes 2 --keep build/results

Writes ``docs/results.md`` and ``docs/results.json``: every figure is measured on the emulator, on
the whole test split. With ``--keep``, trained models and rows are kept in a folder, and an
interrupted run continues from them; empty it when code that changes figures has changed.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks import pool
from pipeline.chips import convert
from pipeline.config import Data, Evaluate, Quantization, Training, Transforms
from pipeline.data import Dataset, calibration_samples, load_data
from pipeline.evaluation.evaluate import evaluate
from pipeline.files import read_json, write_json, write_text
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.train import train
from pipeline.transforms import apply
from simulator.classes import classify

UPGRADE = ("unfuse_separable", "gap_after_relu")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Model and data: trained once in the layer order of 1.0, once in that of 2.0."""

    name: str
    model: str
    parameters: tuple[str, ...] = ()
    versions: tuple[float | None, ...] = (1.0, 2.0)
    data: Data
    training: Training = field(default_factory=Training)


@dataclass(frozen=True, kw_only=True)
class Way:
    """Conversion of a trained model to a chip: one row of the table."""

    name: str
    target: str
    quantization: Quantization
    transforms: tuple[str, ...] = ()


def _ways(name, target, widths, **options) -> tuple[Way, ...]:
    """Return the conversions to a chip at some widths."""
    return tuple(
        Way(name=f"{name} at {bits}", target=target, quantization=_quantization(bits, **options))
        for bits in widths
    )


def _quantization(bits: str, **options) -> Quantization:
    first, weights, activations = map(int, bits.split("/"))
    return Quantization(
        input_weight_bits=first, weight_bits=weights, activation_bits=activations, **options
    )


ON_1_0 = _ways("1.0", "akida_v1", ("8/4/4", "4/4/4", "8/2/4"), scheme="cnn2snn")
ON_2_0 = _ways("2.0", "akida_v2", ("8/8/8", "8/4/8", "8/4/4", "4/4/4", "8/2/4"))
CARRIED = tuple(replace(way, name=f"carried to {way.name}", transforms=UPGRADE) for way in ON_2_0)
METHODS = {
    "plain": {"refine": "none"},
    "refined": {"refine": "layers"},
    "distilled": {"refine": "layers", "train": "distill"},
    "labelled": {"refine": "layers", "train": "labels"},
}
"""Options by column of the table."""
FASHION = Data(name="fashion_mnist", train_samples=10000)
QUICK = Training(epochs=10, batch_size=64)
CASES = (
    Case(
        name="separable_cnn on digits",
        model="separable_cnn",
        versions=(None,),
        data=Data(name="digits"),
    ),
    Case(
        name="tutorial_cnn on digits32",
        model="tutorial_cnn",
        versions=(None,),
        data=Data(name="digits32"),
        training=Training(epochs=6),
    ),
    Case(
        name="mlp on digits",
        model="mlp",
        versions=(None,),
        data=Data(name="digits"),
    ),
    Case(
        name="logistic_regression on digits",
        model="logistic_regression",
        versions=(None,),
        data=Data(name="digits"),
    ),
    Case(
        name="akidanet_small 0.5 on fashion_mnist",
        model="akidanet_small",
        parameters=("alpha=0.5", "input_shape=[28,28,1]"),
        data=FASHION,
        training=QUICK,
    ),
    Case(
        name="ds_cnn on spoken_digits",
        model="ds_cnn",
        parameters=("classes=10",),
        data=Data(name="spoken_digits", train_samples=2500, test_samples=500),
        training=QUICK,
    ),
)
HEADER = (
    *("trained as", "run as", "float", *METHODS, "error", "agreement", "weight KiB"),
    *("MACs", "MACs on zeros"),
)
Model = tuple[Case, float | None, Graph]
"""A case, the layer order it is trained in, and the trained model."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, migrate, quantize and simulate; write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep models and rows here; continue from them")
    options = parser.parse_args(arguments)
    models = [
        (case, version, options.seed, options.keep)
        for case in CASES
        if options.only in case.name
        for version in case.versions
    ]
    trained = pool.in_order(train_model, models, options.processes)
    jobs = [(*model, way, options.keep) for model in trained for way in ways(model[2], model[1])]
    rows = pool.in_order(row, jobs, options.processes)
    command = f"python -m benchmarks.results --seed {options.seed}"
    if options.only:
        command += f" --only '{options.only}'"
    write_json(options.output.with_suffix(".json"), {"command": command, "rows": rows})
    write_text(options.output.with_suffix(".md"), page(rows, command))


def train_model(case: Case, version: float | None, seed: int, keep: Path | None = None) -> Model:
    """Return a case's float model, trained in the layer order of a chip, or kept in a folder."""
    path = keep and keep / f"{_file_name(case.name, version_name(version), str(seed))}.npz"
    if path and path.is_file():
        return case, version, load_graph(path)
    data = load_data(case.data)
    parameters = [*case.parameters, *([f"version={version}"] if version else [])]
    graph = build_graph(read_architecture(case.model, parameters), seed=seed)
    graph, _ = train(graph, data.x_train, data.y_train, options=case.training, seed=seed)
    if path:
        save_graph(path, graph)
    return case, version, graph


def ways(graph: Graph, version: float | None) -> Iterator[Way]:
    """Yield the conversions that apply to a model; without layers to migrate, none migrates."""
    if version != 2.0:
        yield from ON_1_0
    fused = any(node.op == "SeparableConv2D" for node in graph.nodes)
    yield from CARRIED if fused else ON_2_0


def version_name(version: float | None) -> str:
    """Return the table's name of the layer order in which a model was trained."""
    return "either" if version is None else str(version)


def row(
    case: Case, version: float | None, graph: Graph, way: Way, keep: Path | None = None
) -> dict:
    """Return a row of the table, or the one kept in a folder."""
    named = {"case": case.name, "trained_as": version_name(version), "run_as": way.name}
    path = keep and keep / f"{_file_name(*named.values())}.json"
    if path and path.is_file():
        return read_json(path)
    start = time.process_time()
    found = {**named, **figures(graph, load_data(case.data), way)}
    found["seconds"] = round(time.process_time() - start)
    if path:
        write_json(path, found)
    return found


def _file_name(*parts: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", " ".join(parts))


def figures(graph: Graph, data: Dataset, way: Way) -> dict:
    """Return the accuracy by every method, and the refined program's metrics, on all test images.

    ``errors`` are paired standard errors of what each method loses.
    """
    carried, _ = apply(graph, Transforms(names=way.transforms), data.x_train[:256])
    right = classify(forward(graph, data.x_test)) == data.y_test
    accuracy, errors = {}, {}
    for name, options in METHODS.items():
        program = _program(carried, data, replace(way.quantization, **options), way.target)
        found = evaluate(program, graph, data, Evaluate())
        correct = found.predictions == found.labels
        accuracy[name] = float(correct.mean())
        errors[name] = float(np.std(right.astype(float) - correct) / np.sqrt(len(right)))
        if name == "refined":
            limits, metrics = len(list(program.limits())), found.metrics
    return {**metrics, "accuracies": accuracy, "errors": errors, "exceeded_limits": limits}


def _program(graph, data, options, target):
    samples = calibration_samples(data, options.calibration)
    quantized = quantize(graph, samples, options)
    if options.train != "none":
        from pipeline.training.registers.train import train_registers

        quantized, _ = train_registers(graph, quantized, data.x_train, data.y_train, options)
    return convert(quantized, target)


def page(rows: Sequence[dict], command: str) -> str:
    """Return the table as Markdown."""
    lines = [INTRODUCTION.format(command=command)]
    for case in dict.fromkeys(row["case"] for row in rows):
        chosen = [row for row in rows if row["case"] == case]
        lines += ["", f"## {case}", "", f"{chosen[0]['images']:,} test images.", ""]
        lines += [_line(HEADER), _line("---" for _ in HEADER)]
        lines += [_line(_cells(row)) for row in chosen]
    return "\n".join(lines) + "\n"


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row) -> list[str]:
    return [
        row["trained_as"],
        row["run_as"],
        f"{row['float_accuracy']:.2%}",
        *(f"{row['accuracies'][name]:.2%}" for name in METHODS),
        f"{100 * row['errors']['refined']:.2f}",
        f"{row['agreement']:.2%}",
        f"{row['weight_bytes'] / 1024:,.1f}",
        f"{row['macs']:,}",
        f"{row['sparsity']:.1%}",
    ]


INTRODUCTION = """# What quantization costs

Made by `{command}` (`make results`).

Each model is trained in float once per layer order, from one seed. Bit widths are those of the
first layer's weights, other weights, and activations. 1.0 uses its own scheme (`cnn2snn`), 2.0 one
scale per channel. Accuracies are the emulator's, on the whole test split, by four ways to quantize:

- *plain*: as the vendor's tools, calibrated on 1,024 training images where the scheme is (2.0);
- *refined*: fitted and rounded layer by layer on these images, without labels: the default of every
  choice of `quantization` but `parity` and `legacy_w4a4`;
- *distilled*, *labelled*: from there, `train=distill` and `train=labels` on all training images;
  the start is kept where held-out images say so. [quantization.md](quantization.md) describes them.

The other columns:

- *carried to*: after the transforms `unfuse_separable` and `gap_after_relu` (exact);
- *error*: standard error of what the refined model loses against float, in points, paired by image;
- *agreement*: share of images for which float and refined model predict the same class;
- *MACs on zeros*: share of multiplications that an event-based chip can skip, of the refined model.

These are single runs: where test splits are small (360 or 500 images), differences of a point are
not significant. On other processors training rounds differently and gives other weights: plain
figures at 4 bits have varied by three points. The spoken digits are synthetic; their noise level
was chosen on training voices (`benchmarks.kws_noise`)."""


if __name__ == "__main__":
    run("results", main)
