"""What refining a quantized model gains, on models trained here.

    python -m benchmarks.refinement --processes 2 --quantizeml

Trains two models on Fashion-MNIST, calibrates on 1,024 training images without labels and prints
accuracies on the 10,000 test images, which nothing was chosen by. With ``--quantizeml`` the same
models are quantized by that tool, too (extra ``oracle``), and run by it. `benchmarks.closeness`
measures files of yours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import pool
from benchmarks.gap_strategies import table
from pipeline.chips import convert
from pipeline.config import Calibration, Data, Quantization, Training, Transforms
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.train import train
from pipeline.transforms import apply
from simulator import simulate
from simulator.classes import classify

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
    *("model", "bits", "scales", "float", "QuantizeML", "plain", "refined"),
    *("lost plain", "lost refined", "standard error", "seconds"),
)


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


def outputs(graph: Graph, samples, images, options) -> tuple[np.ndarray, float]:
    """Return a program's outputs, and the seconds of quantizing on one thread."""
    start = time.process_time()
    quantized = quantize(graph, samples, options)
    seconds = time.process_time() - start
    found = simulate(convert(quantized, "akida_v2"), images)
    return found.reshape(len(images), -1), seconds


def fashion_row(name: str, bits: str, scales: str, options: Quantization, chosen) -> list[str]:
    """Return the table's line of one model at some widths."""
    data = load_data(Data(name="fashion_mnist", train_samples=chosen.train))
    graph = trained(name, data, chosen.epochs, chosen.seed)
    graph, _ = apply(graph, Transforms(names=("gap_after_relu",)), data.x_train[:64])
    samples = data.x_train[:1024]
    right = classify(forward(graph, data.x_test)) == data.y_test
    cells, lost = [_quantizeml(graph, samples, data, options) if chosen.quantizeml else ""], []
    for refine in ("none", "layers"):
        found, seconds = outputs(graph, samples, data.x_test, replace(options, refine=refine))
        correct = classify(found) == data.y_test
        lost.append(right.astype(float) - correct)
        cells.append(f"{correct.mean():.2%}")
    error = lost[1].std() / np.sqrt(len(right))
    figures = (*(f"{100 * d.mean():+.2f}" for d in lost), f"{100 * error:.2f}")
    return [name, bits, scales, f"{right.mean():.2%}", *cells, *figures, f"{seconds:.1f}"]


def _quantizeml(graph, samples, data, options) -> str:
    """Return the accuracy of the model that QuantizeML quantizes, run by itself."""
    from conformance.quantizeml_model import quantize as reference

    model = reference(graph, samples, options)
    found = model.predict(data.x_test, batch_size=250, verbose=0).reshape(len(data.x_test), -1)
    return f"{np.mean(classify(found) == data.y_test):.2%}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=int, default=10000, help="training images")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--quantizeml", action="store_true", help="beside QuantizeML")
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args(arguments)
    names = [name for name in architectures() if chosen.only in name]
    data = load_data(Data(name="fashion_mnist", train_samples=chosen.train))
    for name in names:
        trained(name, data, chosen.epochs, chosen.seed)
    jobs = [(name, *choice, chosen) for name in names for choice in choices()]
    print(table(HEADER, pool.in_order(fashion_row, jobs, chosen.processes)))


if __name__ == "__main__":
    run("refinement", main)
