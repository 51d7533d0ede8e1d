"""The scheme of Akida 2.0: 8-bit biases, scale-and-shift outputs, power-of-two activations.

Symmetric abs-max weights with a scale per filter; activations with power-of-two scales, per channel
or per tensor, from calibrated maxima; arithmetic as in QuantizeML 1.2.5.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.preparation import prepare
from pipeline.quantization import saturation
from pipeline.quantization.assignment import assign
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.calibration import Progress, calibrate, streams
from pipeline.quantization.integerize import integerize_with_sums
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.refine import refine
from pipeline.quantization.samples import check_samples

CALIBRATING = 0.1
"""Share of the time that calibration takes when the model is then refined."""


def calibrated(
    graph: Graph, samples: np.ndarray, options, progress: Progress | None = None
) -> CalibratedGraph:
    """Return the prepared graph with its bit widths and ranges; arguments as in `quantize`."""
    return _calibrated(graph, check_samples(graph, samples), options, progress)[1]


def _calibrated(graph, samples, options, progress) -> tuple[Graph, CalibratedGraph]:
    """Return the prepared graph before and after calibration."""
    source = graph
    graph, notes = prepare(source)
    assignment = assign(graph, options, source)
    if options.refine == "none":
        result = calibrate(graph, assignment, samples, options, progress)
    else:
        progress = progress or (lambda done, total: None)
        result = calibrate(graph, assignment, samples, options, _part(progress, 0, CALIBRATING))
        result = refine(graph, result, samples, options, _part(progress, CALIBRATING, 1))
    return graph, replace(result, notes=(*notes, *result.notes))


def _part(progress: Progress, low: float, high: float) -> Progress:
    """Return a progress that fills a part of another one."""
    return lambda done, total: progress(round(1000 * (low + (high - low) * done / total)), 1000)


def quantize(
    graph: Graph, samples: np.ndarray, options, progress: Progress | None = None
) -> QuantizedGraph:
    """Quantize a float graph.

    Parameters
    ----------
    graph : Graph
        Float model as trained.
    samples : array of shape (n, *input shape)
        Calibration images in the dtype of the model's input.
    options : Quantization
        The ``quantization`` section of the configuration.
    progress : function of (work done, work in all), optional

    Raises
    ------
    DataError, ModelError, IncompatibleModelError
        If the samples are unusable, an activation is not finite, or layers cannot be quantized.
    """
    samples = check_samples(graph, samples)
    prepared, result = _calibrated(graph, samples, options, progress)
    quantized, accumulators = integerize_with_sums(result)
    size = options.calibration.batch_size
    noise = options.calibration.source == "random"
    found = saturation.notes(
        prepared, accumulators, samples, streams(prepared, samples, size), size, noise=noise
    )
    return replace(quantized, notes=(*quantized.notes, *found))
