"""What each option of quantization does to three models.

    python -m benchmarks.quantization_options --processes 2

Trains three models of handwritten digits, changes one option at a time from ``quantization=w4a4``
on Akida 2.0, and prints the points of accuracy that each model loses against
float on the emulator, and how many decibels the noise of its outputs is below their variance: as
the vendor's tools quantize, and refined.
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
from benchmarks.results import CASES, UPGRADE, train_model
from pipeline.chips import convert
from pipeline.config import (
    Calibration,
    LayerWidths,
    Quantization,
    RegisterTraining,
    Transforms,
)
from pipeline.data import calibration_samples, load_data, training_samples
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation.head import cut_head
from pipeline.quantization.quantize import quantize
from pipeline.stage import run
from pipeline.transforms import apply
from simulator import simulate
from simulator.classes import classify

NAMES = ("separable_cnn", "tutorial_cnn", "mlp")
MODELS = {case.model: case for case in CASES if case.model in NAMES}
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
    {**TRAINED, "training": RegisterTraining(samples=512)},
    {**TRAINED, "training": RegisterTraining(epochs=2)},
    {**TRAINED, "training": RegisterTraining(batch_size=256)},
    {**TRAINED, "training": RegisterTraining(learning_rate=1e-3)},
)
"""Options that differ from `BASE`."""
DEFAULTS = Quantization()


def trained(name: str) -> Graph:
    """Return a float model in the layer order of Akida 2.0."""
    case = MODELS[name]
    graph = train_model(case, case.versions[-1], 0)[2]
    return apply(graph, Transforms(names=UPGRADE), load_data(case.data).x_train[:256])[0]


@cache
def _data(name):
    return load_data(MODELS[name].data)


def measured(name: str, graph: Graph, number: int, refine: str) -> tuple[float, ...] | None:
    """Return lost points, their standard error and decibels of a model with an option."""
    chosen, data = replace(BASE, **{"refine": refine, **OPTIONS[number]}), _data(name)
    if chosen.train != "none" and refine == "none":
        return None
    quantized = quantize(graph, calibration_samples(data, chosen.calibration), chosen)
    if chosen.train != "none":
        from pipeline.training.registers.train import train_registers

        images, labels = training_samples(data, chosen)
        quantized, _ = train_registers(graph, quantized, images, labels, chosen)
    wanted = forward(cut_head(graph)[0], data.x_test).reshape(len(data.x_test), -1)
    found = simulate(convert(quantized, "akida_v2"), data.x_test).reshape(wanted.shape)
    right = classify(wanted) == data.y_test
    difference = right.astype(float) - (classify(found) == data.y_test)
    noise = np.square(found - wanted, dtype=np.float64).mean()
    level = 10 * np.log10(wanted.var(axis=0, dtype=np.float64).mean() / noise)
    return 100 * difference.mean(), 100 * difference.std() / np.sqrt(len(right)), level


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
    results = pool.in_order(measured, jobs, chosen.processes)
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
    return "" if found is None else f"{found[0]:+.2f}, {found[2]:.1f} dB"


if __name__ == "__main__":
    run("quantization_options", main)
