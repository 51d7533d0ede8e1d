"""Accuracy lost from float to either chip: models x data x bit widths.

    python -m benchmarks.results

Writes ``docs/results.md`` and ``docs/results.json``: every figure is measured on the emulator, on
the whole test split.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.chips import convert
from pipeline.config import Data, Evaluate, Quantization, Training, Transforms
from pipeline.data import Dataset, calibration_samples, load_data
from pipeline.evaluation.evaluate import evaluate
from pipeline.files import write_json, write_text
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.train import train
from pipeline.transforms import apply

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


def _bits(weights, activations, **options) -> Quantization:
    return Quantization(weight_bits=weights, activation_bits=activations, **options)


def _ways(name, target, *widths, **options) -> tuple[Way, Way]:
    """Return a conversion as the vendor's tools quantize, and the refined one."""
    return tuple(
        Way(
            name=f"{name}, refined" if refine == "layers" else name,
            target=target,
            quantization=_bits(*widths, refine=refine, **options),
        )
        for refine in ("none", "layers")
    )


ON_1_0 = _ways("1.0 at 8/4/4", "akida_v1", 4, 4, scheme="cnn2snn")
ON_2_0 = (
    *_ways("2.0 at 8/8/8", "akida_v2", 8, 8),
    *_ways("2.0 at 8/4/4", "akida_v2", 4, 4),
)
CARRIED = tuple(
    Way(
        name=f"carried to {way.name}",
        target=way.target,
        quantization=way.quantization,
        transforms=UPGRADE,
    )
    for way in ON_2_0
)
FASHION = Data(name="fashion_mnist", train_samples=10000, test_samples=2000)
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
    *("trained as", "run as", "float", "emulator", "agreement", "lost", "error"),
    *("weight KiB", "MACs", "MACs on zeros"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, migrate, quantize and simulate; write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows = []
    for case in CASES:
        if options.only in case.name:
            rows += measure(case, options.seed)
    command = f"python -m benchmarks.results --seed {options.seed}"
    if options.only:
        command += f" --only '{options.only}'"
    write_json(options.output.with_suffix(".json"), {"command": command, "rows": rows})
    write_text(options.output.with_suffix(".md"), page(rows, command))


def measure(case: Case, seed: int) -> list[dict]:
    """Return one row for each conversion that applies to the case."""
    data, rows = load_data(case.data), []
    for version in case.versions:
        parameters = [*case.parameters, *([f"version={version}"] if version else [])]
        graph = build_graph(read_architecture(case.model, parameters), seed=seed)
        start = time.perf_counter()
        graph, _ = train(graph, data.x_train, data.y_train, options=case.training, seed=seed)
        seconds = time.perf_counter() - start
        for way in ways(graph, version):
            row = {"case": case.name, "trained_as": version_name(version), "run_as": way.name}
            row |= {"train_seconds": round(seconds, 1), **figures(graph, data, way)}
            logging.info("%s, %s: %.4f", case.name, way.name, row["accuracy"])
            rows.append(row)
    return rows


def ways(graph: Graph, version: float | None) -> Iterator[Way]:
    """Yield the conversions that apply to a model; without layers to migrate, none migrates."""
    if version != 2.0:
        yield from ON_1_0
    fused = any(node.op == "SeparableConv2D" for node in graph.nodes)
    yield from CARRIED if fused else ON_2_0


def version_name(version: float | None) -> str:
    """Return the table's name of the layer order in which a model was trained."""
    return "either" if version is None else str(version)


def figures(graph: Graph, data: Dataset, way: Way) -> dict:
    """Return the metrics of `pipeline.evaluation.evaluate` on the whole test split."""
    carried, _ = apply(graph, Transforms(names=way.transforms), data.x_train[:256])
    samples = calibration_samples(data, way.quantization.calibration)
    program = convert(quantize(carried, samples, way.quantization), way.target)
    metrics = evaluate(program, graph, data, Evaluate()).metrics
    return {**metrics, "exceeded_limits": len(list(program.limits()))}


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
    lost = 100 * (row["float_accuracy"] - row["accuracy"])
    return [
        row["trained_as"],
        row["run_as"],
        f"{row['float_accuracy']:.2%}",
        f"{row['accuracy']:.2%}",
        f"{row['agreement']:.2%}",
        f"{lost:+.2f}",
        f"{100 * ((1 - row['agreement']) / row['images']) ** 0.5:.2f}",
        f"{row['weight_bytes'] / 1024:,.1f}",
        f"{row['macs']:,}",
        f"{row['sparsity']:.1%}",
    ]


INTRODUCTION = """# What quantization costs

Made by `{command}` (`make results`).

Each model is trained in float once per layer order, from one seed. Bit widths are those of the
first layer's weights, other weights, and activations. 1.0 uses its own scheme, which needs no
calibration; 2.0 is calibrated on 1,024 training images. *Refined* rows are fitted and rounded layer
by layer on these images, without labels, as every choice of `quantization` but `parity` and
`legacy_w4a4` does; the others are as the vendor's tools quantize. None is fine-tuned.

These are single runs on small test splits: accuracies on 360 to 2,000 images have standard errors
of half a point to one point, so that differences of this size are not significant. On other
processors training rounds differently and gives other weights: figures at 4 bits have varied by
three points. The spoken digits are synthetic; their noise level was chosen on training voices
(`benchmarks.kws_noise`).

- *carried to*: after the transforms `unfuse_separable` and `gap_after_relu` (exact);
- *float*, *emulator*: accuracy on the test split; *lost*: the difference, in percentage points;
- *error*: the largest standard error that *lost* can have, by the images whose class changed;
- *agreement*: share of images for which float model and emulator predict the same class;
- *MACs on zeros*: share of multiplications that an event-based chip can skip."""


if __name__ == "__main__":
    run("results", main)
