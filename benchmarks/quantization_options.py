"""What each option of quantization does to three models.

    python -m benchmarks.quantization_options --processes 2

Trains two models of Fashion-MNIST and one of spoken digits, changes one option at a time from
``quantization=w4a4`` on Akida 2.0, and prints the points of accuracy that each model loses against
float on the emulator, as the vendor's tools quantize and refined.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks import pool
from benchmarks.gap_strategies import table
from benchmarks.refinement import architectures
from pipeline.chips import convert
from pipeline.config import (
    Calibration,
    Data,
    LayerWidths,
    Quantization,
    RegisterTraining,
    Training,
    Transforms,
)
from pipeline.data import calibration_samples, load_data, training_samples
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.training.train import train
from pipeline.transforms import apply
from simulator import simulate
from simulator.classes import classify

FASHION = Data(name="fashion_mnist", train_samples=10000)
SPOKEN = Data(name="spoken_digits", train_samples=2500, test_samples=500)
MODELS = {"tutorial_cnn": FASHION, "separable_9k": FASHION, "ds_cnn": SPOKEN}
BASE = Quantization(weight_bits=4, activation_bits=4)
MIXED = {
    "DepthwiseConv2D": LayerWidths(weight_bits=8),
    "GlobalAveragePooling2D": LayerWidths(activation_bits=8),
}
TRAINED = {"train": "distill"}
OPTIONS = (
    {},
    *({"weight_bits": bits} for bits in (2, 8)),
    *({"activation_bits": bits} for bits in (2, 8)),
    {"input_weight_bits": 4},
    {"output_bits": 4},
    {"last_output_bits": 8},
    {"buffer_bits": 24},
    {"layers": MIXED},
    {"per_tensor_activations": True},
    *({"observer": name} for name in ("max", "percentile")),
    {"momentum": 0.5},
    {"equalize": False},
    {"flatten": "saturate"},
    {"calibration": Calibration(source="random")},
    *({"calibration": Calibration(samples=count)} for count in (32, 128)),
    *({"calibration": Calibration(batch_size=count)} for count in (10, 1000)),
    {"calibration": Calibration(epochs=3)},
    {"calibration": Calibration(seed=1)},
    TRAINED,
    {"train": "labels"},
    {**TRAINED, "training": RegisterTraining(samples=1024)},
    {**TRAINED, "training": RegisterTraining(epochs=2)},
    {**TRAINED, "training": RegisterTraining(batch_size=256)},
    {**TRAINED, "training": RegisterTraining(learning_rate=1e-3)},
)
"""Options that differ from `BASE`."""
DEFAULTS = Quantization()


def trained(name: str) -> Graph:
    """Return a float model in the layer order of Akida 2.0."""
    data = load_data(MODELS[name])
    if name == "ds_cnn":
        architecture = read_architecture(name, ["classes=10", "version=2.0"])
    else:
        architecture = architectures()[name]
    graph = build_graph(architecture, seed=0)
    options = Training(epochs=8, batch_size=64)
    graph, _ = train(graph, data.x_train, data.y_train, options=options, seed=0)
    return apply(graph, Transforms(names=("gap_after_relu",)), data.x_train[:64])[0]


@cache
def _data(name):
    return load_data(MODELS[name])


def lost(name: str, graph: Graph, number: int, refine: str) -> tuple[float, float] | None:
    """Return the points that a model loses with an option, and their standard error."""
    chosen, data = replace(BASE, **{"refine": refine, **OPTIONS[number]}), _data(name)
    if chosen.train != "none" and refine == "none":
        return None
    quantized = quantize(graph, calibration_samples(data, chosen.calibration), chosen)
    if chosen.train != "none":
        from pipeline.training.registers.train import train_registers

        images, labels = training_samples(data, chosen)
        quantized, _ = train_registers(graph, quantized, images, labels, chosen)
    program = convert(quantized, "akida_v2")
    found = simulate(program, data.x_test).reshape(len(data.x_test), -1)
    right = classify(forward(graph, data.x_test)) == data.y_test
    difference = right.astype(float) - (classify(found) == data.y_test)
    return 100 * difference.mean(), 100 * difference.std() / np.sqrt(len(right))


def described(options: dict) -> str:
    """Return options as they are written on the command line."""
    if not options:
        return "none: w4a4"
    if "layers" in options:
        return "`quantization=w4a4_mixed`"
    return ", ".join(f"`{name}={value}`" for name, value in _flat(options, DEFAULTS))


def _flat(options: dict, defaults, prefix="") -> Iterator[tuple[str, object]]:
    for name, value in options.items():
        if hasattr(value, "__dataclass_fields__"):
            given, usual = vars(value), getattr(defaults, name)
            changed = {key: each for key, each in given.items() if each != getattr(usual, key)}
            yield from _flat(changed, usual, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value).lower() if isinstance(value, bool) else value


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="models whose name contains this")
    chosen = parser.parse_args(arguments)
    names = [name for name in MODELS if chosen.only in name]
    graphs = pool.in_order(trained, [(name,) for name in names], chosen.processes)
    numbers, refines = range(len(OPTIONS))[::-1], ("none", "layers")
    models = list(zip(names, graphs, strict=True))
    jobs = [(*model, n, way) for n, model, way in itertools.product(numbers, models, refines)]
    results = pool.in_order(lost, jobs, chosen.processes)
    found = {(name, n, way): each for (name, _, n, way), each in zip(jobs, results, strict=True)}
    rows = [
        [described(options), *(_cell(found[name, n, way]) for name in names for way in refines)]
        for n, options in enumerate(OPTIONS)
    ]
    heads = [f"{name}, {way}" for name in names for way in ("plain", "refined")]
    print(table(["option", *heads], rows))
    for name in names:
        error = max(each[1] for key, each in found.items() if each and key[0] == name)
        print(f"largest standard error of {name}: {error:.2f}")


def _cell(found) -> str:
    return "" if found is None else f"{found[0]:+.2f}"


if __name__ == "__main__":
    run("quantization_options", main)
