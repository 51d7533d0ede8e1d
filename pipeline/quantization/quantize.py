"""Quantize a float graph by the configured scheme."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.errors import ConfigError
from pipeline.graph.graph import Graph
from pipeline.graph.image_scale import expected_range, input_notes
from pipeline.messages.notes import CALIBRATION, REFINED, WARNING, Note
from pipeline.messages.settings import setting
from pipeline.quantization.calibration import Progress
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.samples import check_unsigned, random_samples
from pipeline.quantization.schemes import cnn2snn, quantizeml

SCHEMES = {"quantizeml": quantizeml.quantize, "cnn2snn": cnn2snn.quantize}


def quantize(
    graph: Graph, samples: np.ndarray | None, options, progress: Progress | None = None
) -> QuantizedGraph:
    """Quantize a float graph.

    Parameters
    ----------
    graph : Graph
        Float model as trained.
    samples : array of shape (n, *input shape), or None
        Calibration images in the dtype of the model's input, used in order. If None,
        ``calibration.samples`` random images are drawn by ``calibration.seed``.
    options : Quantization
        The ``quantization`` section of the configuration.
    progress : function of (work done, work in all), optional

    Returns
    -------
    QuantizedGraph
        With notes for the user.

    Raises
    ------
    ConfigError, DataError, ModelError, IncompatibleModelError
        If the scheme is unknown; the samples are unusable; an activation is not finite; or layers
        cannot be quantized, all of which are listed.
    """
    if options.scheme not in SCHEMES:
        raise ConfigError(
            f"{setting('quantization.scheme')}: found '{options.scheme}'; allowed:"
            f" {', '.join(SCHEMES)}"
        )
    random = samples is None or options.calibration.source == "random"
    if samples is None:
        rng = np.random.default_rng(options.calibration.seed)
        samples = random_samples(graph, options.calibration.samples, rng)
        options = replace(options, calibration=replace(options.calibration, source="random"))
    if random and options.refine != "none":
        options = replace(options, refine="none")
        notes = (Note(kind=REFINED, text="not refined: that takes images, not random samples"),)
    else:
        notes = ()
    given = notes if random else input_notes(samples, expected_range(graph), "calibration samples")
    if options.scheme == "cnn2snn" and not random:
        check_unsigned(graph, samples)
    quantized = SCHEMES[options.scheme](graph, samples, options, progress)
    quantized = replace(quantized, notes=(*given, *quantized.notes))
    if options.scheme == "quantizeml" and random and not options.per_tensor_activations:
        quantized = replace(quantized, notes=(_random_per_axis(), *quantized.notes))
    return quantized


def _random_per_axis() -> Note:
    per_tensor = setting("quantization.per_tensor_activations", True)
    data = setting("quantization.calibration.source", "data")
    text = f"calibrated per channel on random samples: not accurate. Set {per_tensor}, or {data}"
    return Note(kind=CALIBRATION, level=WARNING, text=text)
