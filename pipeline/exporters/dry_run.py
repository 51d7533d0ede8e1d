"""Find out whether a model can be exported before it is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.config.sections import Config, Gap
from pipeline.errors import CrossgradeError
from pipeline.exporters.formats import check_export
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.samples import random_samples
from pipeline.transforms import apply

SAMPLES = 2


def check_exports(graph: Graph, config: Config) -> None:
    """Raise if the untrained model, quantized as configured, cannot be exported.

    Parameters
    ----------
    graph : Graph
        Its weights do not matter: they decide the integers, not which ones a format can hold.
    config : Config
        Formats, transforms and quantization.

    Raises
    ------
    ConfigError, IncompatibleModelError
        If the format is for another scheme, or cannot hold the model; names the layers.
    """
    quantized = _quantized(graph, config)
    for name in config.export.formats if quantized is not None else ():
        check_export(quantized, name)


def _quantized(graph, config) -> QuantizedGraph | None:
    """Return the model as it would be quantized; None where another stage will refuse it."""
    images = random_samples(graph, SAMPLES, np.random.default_rng(config.seed))
    changes = replace(config.transforms, gap=Gap(), max_accuracy_drop=None)
    calibration = replace(config.quantization.calibration, samples=SAMPLES, batch_size=SAMPLES)
    options = replace(config.quantization, refine="none", calibration=calibration)
    try:
        changed, _ = apply(graph, changes, images)
        return quantize(changed, images, options)
    except CrossgradeError:
        return None
