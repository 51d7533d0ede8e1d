"""Random networks, quantized here."""

from __future__ import annotations

from functools import partial

from conformance.exports.case import Case, Make, in_range
from conformance.networks import random_network
from pipeline.config.sections import Calibration, Quantization
from pipeline.quantization.quantize import quantize


def random_models(seed: int, count: int) -> dict[str, Make]:
    """Return how to quantize networks 0 to `count` of a seed, by name; options rotate."""
    return {f"network {seed}/{n}": partial(random_model, seed, n) for n in range(count)}


def random_model(seed: int, index: int) -> Case:
    """Return one random network, quantized here."""
    network = random_network(seed, index)
    settings = dict(network.settings)
    settings.pop("input_dtype")
    size = 1 if network.temporal else len(network.samples) // 2
    options = Quantization(
        **settings,
        flatten=("align", "saturate")[index % 2],
        refine=("none", "layers")[index // 2 % 2],
        calibration=Calibration(batch_size=size),
    )
    quantized = quantize(network.graph, network.samples, options)
    return Case(quantized, in_range(quantized, network.images), network.temporal)
