"""What refining a quantized model gains, on models trained here or on files of yours.

    python -m benchmarks.refinement
    python -m benchmarks.refinement --model m.h5 --calibration a.npy --test b.npy

The first trains two models on Fashion-MNIST, calibrates on 1,024 training images without labels
and prints accuracies on the 10,000 test images, which nothing was chosen by. The second compares
a float model with its integers on inputs of yours; calibration and test inputs should come from
different sources.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.gap_strategies import table
from pipeline.chips import convert
from pipeline.cli.parameters import load_any
from pipeline.config import Calibration, Data, Quantization, Training, Transforms
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation import prepare
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.train import train
from pipeline.transforms import apply
from simulator import simulate

FOLDER = Path("build/benchmarks/refinement")
BLOCK = {"kernel_size": 3, "padding": "same", "use_bias": False, "add_batchnorm": True}
BLOCK |= {"batchnorm_momentum": 0.9, "relu_activation": "ReLU6"}
SEPARABLE = {**BLOCK, "fused": False}
SEPARABLE_CNN = {
    "name": "separable_9k",
    "input": {"shape": [28, 28, 1], "dtype": "uint8"},
    "layers": [
        {"Rescaling": {"scale": "1/255"}},
        {"conv_block": {"name": "conv_0", "filters": 16, "strides": 2, **BLOCK}},
        {"separable_conv_block": {"name": "separable_1", "filters": 32, **SEPARABLE}},
        {
            "separable_conv_block": {
                "name": "separable_2",
                "filters": 64,
                "pooling": "max",
                "pool_size": 2,
                **SEPARABLE,
            }
        },
        {
            "separable_conv_block": {
                "name": "separable_3",
                "filters": 64,
                "pooling": "global_avg",
                "post_relu_gap": True,
                **SEPARABLE,
            }
        },
        {"Dense": {"units": 10}},
    ],
}
WIDTHS = ((8, 8), (4, 8), (4, 4))
HEADER = (
    *("model", "bits", "scales", "float", "plain", "refined"),
    *("lost plain", "lost refined", "standard error", "seconds"),
)
FIELD = ("bits", "scales", "refine", "dB", "same class", "standard error", "seconds", "kept")


def architectures() -> dict[str, dict]:
    """Return the models by name."""
    tutorial = read_architecture("tutorial_cnn", ["input_shape=[28,28,1]"])
    return {"tutorial_cnn": tutorial, "separable_9k": SEPARABLE_CNN}


def trained(name: str, data, epochs: int, seed: int) -> Graph:
    """Return a trained model; one that was trained before is read from `FOLDER`."""
    path = FOLDER / f"{name}_{len(data.x_train)}_{epochs}_{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        options = Training(epochs=epochs, batch_size=64)
        graph = build_graph(architectures()[name], seed=seed)
        graph, _ = train(graph, data.x_train, data.y_train, options=options, seed=seed)
        save_graph(path, graph)
    return load_graph(path)


def choices(widths=WIDTHS) -> Iterator[tuple[str, str, Quantization]]:
    """Yield bits, scales and options without refinement."""
    for weights, activations in (*widths, ("4/4", 4)):
        first = 4 if weights == "4/4" else 8
        weights = 4 if weights == "4/4" else weights
        for per_tensor in (False, True):
            options = Quantization(
                input_weight_bits=first,
                weight_bits=weights,
                activation_bits=activations,
                per_tensor_activations=per_tensor,
                calibration=Calibration(batch_size=32),
            )
            bits = f"{first}/{weights}/{activations}"
            yield bits, "tensor" if per_tensor else "axis", options


def outputs(graph: Graph, samples, images, options) -> tuple[np.ndarray, float, str]:
    """Return a program's outputs, the seconds of quantizing, and what refining noted."""
    start = time.perf_counter()
    quantized = quantize(graph, samples, options)
    seconds = time.perf_counter() - start
    noted = [note.text for note in quantized.notes if note.kind == "refined"]
    found = simulate(convert(quantized, "akida_v2"), images)
    return found.reshape(len(images), -1), seconds, "; ".join(noted)


def fashion_rows(name, train_samples, epochs, seed) -> Iterator[list[str]]:
    """Yield the table's lines of one model."""
    data = load_data(Data(name="fashion_mnist", train_samples=train_samples))
    graph = trained(name, data, epochs, seed)
    graph, _ = apply(graph, Transforms(names=("gap_after_relu",)), data.x_train[:64])
    samples = data.x_train[:1024]
    right = forward(graph, data.x_test).argmax(axis=1) == data.y_test
    for bits, scales, options in choices():
        cells, lost = [], []
        for refine in ("none", "layers"):
            found, seconds, _ = outputs(
                graph, samples, data.x_test, replace(options, refine=refine)
            )
            correct = found.argmax(axis=1) == data.y_test
            difference = right.astype(float) - correct
            lost.append(difference)
            cells.append(f"{correct.mean():.2%}")
        error = lost[1].std() / np.sqrt(len(right))
        figures = (*(f"{100 * d.mean():+.2f}" for d in lost), f"{100 * error:.2f}")
        row = [name, bits, scales, f"{right.mean():.2%}", *cells, *figures, f"{seconds:.1f}"]
        logging.info("%s", " ".join(row))
        yield row


def field_rows(graph: Graph, samples, images) -> Iterator[list[str]]:
    """Yield the table's lines of a model without labels."""
    wanted = forward(prepare(graph)[0], images).reshape(len(images), -1)
    for bits, scales, options in choices():
        for refine in ("none", "layers"):
            found, seconds, noted = outputs(graph, samples, images, replace(options, refine=refine))
            noise = np.square(found - wanted).mean()
            level = 10 * np.log10(wanted.var(axis=0).mean() / noise)
            same = np.mean(found.argmax(axis=1) == wanted.argmax(axis=1))
            error = np.sqrt(same * (1 - same) / len(images))
            kept = "" if refine == "none" else "no" if noted.startswith("not") else "yes"
            figures = (f"{level:.1f}", f"{same:.1%}", f"{error:.1%}", f"{seconds:.1f}")
            row = [bits, scales, refine, *figures, kept]
            logging.info("%s", " ".join(row))
            yield row


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=int, default=10000, help="training images")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--model", help="float model (.h5, .keras, .npz) instead")
    parser.add_argument("--calibration", help="its calibration inputs (.npy)")
    parser.add_argument("--test", help="its test inputs (.npy)")
    options = parser.parse_args(arguments)
    if options.model:
        samples, images = np.load(options.calibration), np.load(options.test)
        print(table(FIELD, list(field_rows(load_any(options.model), samples, images))))
        return
    rows = [
        row
        for name in architectures()
        if options.only in name
        for row in fashion_rows(name, options.train, options.epochs, options.seed)
    ]
    print(table(HEADER, rows))


if __name__ == "__main__":
    run("refinement", main)
