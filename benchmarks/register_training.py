"""What training the registers gains over refining, on Fashion-MNIST and on both chips.

    python -m benchmarks.register_training
    python -m benchmarks.register_training --only separable --bits 8/2/4 --train distill

The float models are those of `benchmarks.refinement`, and one in the layer order of Akida 1.0. Each
is refined on 1,024 training images and trained on 10,000, some of which are held out; accuracies
are those of the emulator on the 10,000 test images, which nothing was chosen by. The last columns
compare TensorFlow's training graph with the emulator of the exported registers on all test images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from benchmarks import pool
from benchmarks.gap_strategies import table
from benchmarks.refinement import FOLDER, architectures, trained
from pipeline.chips import convert
from pipeline.config import (
    Calibration,
    Data,
    Quantization,
    Training,
    Transforms,
)
from pipeline.data import load_data
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.registers.train import graph_outputs, train_registers
from pipeline.training.train import train
from pipeline.transforms import apply
from simulator import simulate
from simulator.classes import classify

SAMPLES = 1024
BITS = ("8/2/4", "8/4/8", "8/4/4", "4/4/4")
SCHEMES = {"quantizeml": "akida_v2", "cnn2snn": "akida_v1"}
FIRST_CHIP = ("separable_9k",)
"""Models that are also trained in the layer order of Akida 1.0."""
HEADER = (
    *("model", "chip", "bits", "train", "float", "refined", "trained", "lost refined"),
    *("lost trained", "standard error", "seconds", "other classes", "largest difference"),
)


def choices(scheme: str, bits: Sequence[str]) -> Iterator[tuple[str, Quantization]]:
    """Yield widths and options."""
    for widths in bits:
        first, weights, activations = map(int, widths.split("/"))
        if scheme == "quantizeml" or activations < 8:
            yield (
                widths,
                Quantization(
                    scheme=scheme,
                    input_weight_bits=first,
                    weight_bits=weights,
                    activation_bits=activations,
                    refine="layers",
                    calibration=Calibration(samples=SAMPLES, batch_size=32),
                ),
            )


def first_chip(architecture: dict) -> dict:
    """Return an architecture with fused separable convolutions and pooling before the ReLU."""
    layers = []
    for layer in architecture["layers"]:
        if "separable_conv_block" in layer:
            block = {**layer["separable_conv_block"], "fused": True}
            block.pop("post_relu_gap", None)
            layer = {"separable_conv_block": block}
        layers.append(layer)
    return {**architecture, "name": f"{architecture['name']}_v1", "layers": layers}


def model(name: str, scheme: str, data, options) -> Graph:
    """Return a trained float model in the layer order of a scheme's chip."""
    if scheme == "quantizeml":
        graph = trained(name, data, options.epochs, options.seed)
        return apply(graph, Transforms(names=("gap_after_relu",)), data.x_train[:64])[0]
    path = FOLDER / f"{name}_v1_{len(data.x_train)}_{options.epochs}_{options.seed}.npz"
    if not path.exists():
        graph = build_graph(first_chip(architectures()[name]), seed=options.seed)
        settings = Training(epochs=options.epochs, batch_size=64)
        graph, _ = train(graph, data.x_train, data.y_train, options=settings, seed=options.seed)
        save_graph(path, graph)
    return load_graph(path)


def row(name: str, scheme: str, bits: str, settings: Quantization, mode: str, chosen) -> list[str]:
    """Return the table's line of one model on one chip, trained in one way."""
    data = load_data(Data(name="fashion_mnist", train_samples=chosen.images))
    graph = model(name, scheme, data, chosen)
    right = classify(forward(graph, data.x_test)) == data.y_test
    refined = quantize(graph, data.x_train[:SAMPLES], settings)
    start = time.perf_counter()
    quantized, _ = train_registers(
        graph, refined, data.x_train, data.y_train, replace(settings, train=mode)
    )
    seconds = time.perf_counter() - start
    cells = [name, SCHEMES[scheme], bits, mode]
    return [*cells, *compared(refined, quantized, right, data, scheme, seconds)]


def compared(refined, quantized, right, data, scheme, seconds) -> list[str]:
    """Return the figures of a trained model beside those of its start."""
    target, labels = SCHEMES[scheme], data.y_test
    found = [
        simulate(convert(graph, target), data.x_test).reshape(len(labels), -1)
        for graph in (refined, quantized)
    ]
    correct = [classify(outputs) == labels for outputs in found]
    lost = [right.astype(float) - hits for hits in correct]
    graph = graph_outputs(quantized, data.x_test).reshape(found[1].shape)
    return [
        *(f"{hits.mean():.2%}" for hits in (right, *correct)),
        *(f"{100 * points.mean():+.2f}" for points in lost),
        f"{100 * lost[1].std() / np.sqrt(len(labels)):.2f}",
        f"{seconds:.0f}",
        str(np.count_nonzero(classify(graph) != classify(found[1]))),
        f"{np.abs(graph - found[1]).max():.1g}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10000, help="training images")
    parser.add_argument("--epochs", type=int, default=8, help="of the float models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--bits", nargs="+", default=BITS)
    parser.add_argument("--train", nargs="+", default=("distill", "labels"))
    parser.add_argument("--scheme", nargs="+", default=tuple(SCHEMES), choices=SCHEMES)
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args(arguments)
    data = load_data(Data(name="fashion_mnist", train_samples=chosen.images))
    jobs = []
    for name, scheme in product(architectures(), chosen.scheme):
        if chosen.only in name and (scheme == "quantizeml" or name in FIRST_CHIP):
            model(name, scheme, data, chosen)
            for (bits, settings), mode in product(choices(scheme, chosen.bits), chosen.train):
                jobs.append((name, scheme, bits, settings, mode, chosen))
    print(table(HEADER, pool.in_order(row, jobs, chosen.processes)))


if __name__ == "__main__":
    run("register_training", main)
