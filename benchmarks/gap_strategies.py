"""Compare the strategies to move global average pooling after ReLU, on models trained here.

Every model is trained in the 1.0 layer order, then converted to the 2.0 order by every strategy;
accuracy is measured on the test images. Run from the repository's root:

    python -m benchmarks.gap_strategies
    python -m benchmarks.gap_strategies --data fashion_mnist --train 12000 --test 5000 --emulate
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np

from pipeline.accuracy import accuracy, classify
from pipeline.chips import convert
from pipeline.config import Data, Gap, Quantization, Training, Transforms
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.quantization.quantize import quantize
from pipeline.training.train import train
from pipeline.transforms import Images, apply
from simulator import simulate

STRATEGIES = {
    "naive": {"strategy": "relocate", "recalibrate": "none"},
    "bn": {"strategy": "relocate", "recalibrate": "bn"},
    "ridge": {"strategy": "relocate", "recalibrate": "ridge"},
    "bn_ridge": {"strategy": "relocate", "recalibrate": "bn_ridge"},
    "distill": {"strategy": "distill", "recalibrate": "bn_ridge"},
    "finetune": {"strategy": "finetune", "recalibrate": "bn_ridge", "epochs": 3},
    "exact": {"strategy": "exact"},
}


@dataclass(frozen=True)
class Case:
    """Model to train: its head, the maximum of its ReLUs, its seed."""

    head: str
    relu: str = "ReLU6"
    seed: int = 0

    @property
    def name(self) -> str:
        """Name in the first column of the table."""
        return f"{self.head}, {self.relu}, seed {self.seed}"


CASES = (
    Case("direct"),
    Case("direct", seed=1),
    Case("dense"),
    Case("dense", seed=1),
    Case("conv"),
    Case("separable"),
    Case("direct", "ReLU"),
    Case("dense", "ReLU3.75"),
)


def describe(case: Case, shape) -> dict:
    """Return an architecture in the 1.0 order whose averaged map has at most 7x7 pixels."""
    common = {
        **{"kernel_size": 3, "padding": "same", "use_bias": False, "add_batchnorm": True},
        **{"batchnorm_momentum": 0.9, "relu_activation": case.relu},
    }
    stride = 2 if shape[0] > 16 else 1
    heads = {
        "direct": [],
        "dense": [{"dense_block": {"name": "fc", "units": 48}}],
        "conv": [{"conv_block": {**common, "name": "fc", "filters": 48}}],
        "separable": [{"separable_conv_block": {**common, "name": "fc", "filters": 48}}],
    }
    body = heads[case.head]
    if case.head == "dense":
        block = {key: common[key] for key in common if key not in ("kernel_size", "padding")}
        body[0]["dense_block"].update(block)
    elif body:
        body = [{"Reshape": {"target_shape": [1, 1, 64]}}, *body, "Flatten"]
    pooled = {"pooling": "global_avg", "post_relu_gap": False}
    return {
        "name": f"{case.head}_{case.relu}_{case.seed}".replace(".", "_"),
        "input": {"shape": list(shape)},
        "layers": [
            {"Rescaling": {"scale": "1/255"}},
            {"conv_block": {**common, "name": "conv_0", "filters": 16, "strides": stride}},
            {
                "separable_conv_block": {
                    **{**common, "name": "separable_1", "filters": 32},
                    **{"pooling": "max", "pool_size": 2},
                }
            },
            {"separable_conv_block": {**common, "name": "separable_2", "filters": 64, **pooled}},
            *body,
            {"Dense": {"units": 10}},
        ],
    }


def carry(graph, data, case, samples, strategies) -> dict[str, tuple]:
    """Return for each of `strategies` the new graph and its report."""
    images = Images(
        images=data.x_train,
        labels=data.y_train,
        test_images=data.x_test,
        test_labels=data.y_test,
    )
    found = {}
    for name in strategies:
        settings = STRATEGIES[name]
        gap = Gap(samples=samples, seed=case.seed, **settings)
        options = Transforms(names=("gap_after_relu",), gap=gap)
        new, report = apply(graph, options, data.x_test[:1000], images)
        found[name] = new, report["gap_after_relu"]
    return found


def emulate(graph, data, count) -> float:
    """Return the accuracy at 8/8/8 of the graph with unfused separable layers on Akida 2.0."""
    graph, _ = apply(graph, Transforms(names=("unfuse_separable",)), data.x_train[:8])
    quantized = quantize(graph, data.x_train[:1024], Quantization())
    program = convert(quantized, "akida_v2")
    outputs = simulate(program, data.x_test[:count])
    return float(np.mean(classify(outputs) == data.y_test[:count]))


def table(header, rows) -> str:
    """Return the accuracies as a Markdown table."""
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def summary(results) -> str:
    """Return the accuracy loss of each strategy over all models as a Markdown table."""
    header = [
        "strategy",
        "mean loss",
        "worst",
        "agreement",
        "largest diff.",
        "parameters",
        "labels",
    ]
    rows = []
    for name in results[0]:
        reports = [found[name][1] for found in results]
        losses = [100 * (r["accuracy_before"] - r["accuracy_after"]) for r in reports]
        rows.append(
            [
                name,
                f"{round(np.mean(losses), 2) + 0.0:.2f}",
                f"{max(losses):.2f}",
                f"{np.mean([r['agreement'] for r in reports]):.4f}",
                f"{max(r['max_abs_difference'] for r in reports):.2g}",
                f"{max(r['added_parameters'] for r in reports):+d}",
                "all" if name == "finetune" else "none",
            ]
        )
    return table(header, rows)


def main() -> None:
    """Train models, apply all strategies, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="digits", choices=("digits", "fashion_mnist"))
    parser.add_argument("--train", type=int, help="training images (default: all)")
    parser.add_argument("--test", type=int, help="test images (default: all)")
    parser.add_argument("--epochs", type=int, default=15, help="of the 1.0 models")
    parser.add_argument("--models", type=int, default=len(CASES), help="how many of them")
    parser.add_argument("--samples", type=int, default=1000, help="unlabelled images")
    parser.add_argument("--emulate", type=int, nargs="?", const=1000, help="test images at 8/8/8")
    parser.add_argument(
        "--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES, metavar="NAME"
    )
    arguments = parser.parse_args()
    data = load_data(
        Data(name=arguments.data, train_samples=arguments.train, test_samples=arguments.test)
    )
    training = replace(Training(), epochs=arguments.epochs)
    results, rows, emulated = [], [], []
    for case in CASES[: arguments.models]:
        graph = build_graph(describe(case, data.shape), seed=case.seed)
        graph, _ = train(graph, data.x_train, data.y_train, options=training, seed=case.seed)
        found = carry(graph, data, case, arguments.samples, arguments.strategies)
        results.append(found)
        scores = [report["accuracy_after"] for _, report in found.values()]
        start = next(iter(found.values()))[1]["accuracy_before"]
        rows.append([case.name, *(f"{score:.3f}" for score in (start, *scores))])
        if arguments.emulate:
            few = slice(arguments.emulate)
            chip = [accuracy(graph, data.x_test[few], data.y_test[few])]
            chip += [emulate(new, data, arguments.emulate) for new, _ in found.values()]
            emulated.append([case.name, *(f"{score:.3f}" for score in chip)])
    rows.append(["**mean**", *_means(rows)])
    print(f"Accuracy in float on {len(data.x_test)} test images of {data.name}:\n")
    print(table(["model (head, activation)", "1.0", *arguments.strategies], rows))
    if emulated:
        print(f"\nThe same at 8/8/8 on the emulator of Akida 2.0, {arguments.emulate} images:\n")
        print(table(["model (head, activation)", "1.0, float", *arguments.strategies], emulated))
    print("\nAccuracy lost in points, and what it costs:\n")
    print(summary(results))


def _means(rows):
    columns = zip(*([float(cell) for cell in row[1:]] for row in rows), strict=True)
    return [f"{np.mean(column):.3f}" for column in columns]


if __name__ == "__main__":
    main()
