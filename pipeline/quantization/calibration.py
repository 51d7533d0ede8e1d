"""Measure the ranges of activations on samples, then equalize and fold the zero point.

Steps and order are those of QuantizeML 1.2.5 (``calibrate``): ranges of all quantizers on the
unchanged float graph, then cross-layer equalization, then the zero point of float inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from pipeline.errors import DataError
from pipeline.graph.graph import Graph
from pipeline.graph.parts import keeps_state
from pipeline.messages.settings import setting
from pipeline.quantization.assignment import Assignment
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.dead_channels import dead_channels
from pipeline.quantization.equalization import equalize
from pipeline.quantization.meter import Measured, Meter
from pipeline.quantization.observers import make_observer
from pipeline.quantization.zero_point import fold_zero_point

Progress = Callable[[int, int], None]


def calibrate(
    graph: Graph,
    assignment: Assignment,
    samples: np.ndarray,
    options,
    progress: Progress | None = None,
) -> CalibratedGraph:
    """Return `graph` with the ranges of all quantizers, equalized.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    assignment : Assignment
        Assignment of the same graph.
    samples : array of shape (n, *input shape)
        Images in the dtype of the graph's input.
    options : Quantization
        The ``quantization`` section of the configuration.
    progress : function of (batches done, batches in all), optional

    Raises
    ------
    ModelError
        If an activation is infinite or NaN.
    DataError
        If the frames of a temporal model do not fill their batches.
    """
    return with_ranges(
        graph, assignment, observe(graph, assignment, samples, options, progress), options
    )


def with_ranges(graph: Graph, assignment: Assignment, observed, options) -> CalibratedGraph:
    """Return `graph` with ranges that `observe` has measured, equalized.

    The ranges depend on where outputs are quantized, and on whether per channel, but not on widths.
    """
    ranges, low, high = observed
    notes = tuple(dead_channels(ranges))
    outputs = {
        name: replace(quantizer, range_max=ranges[name], rescaling_rate=np.ones_like(ranges[name]))
        for name, quantizer in assignment.outputs.items()
    }
    if options.equalize:
        graph, outputs = equalize(graph, outputs)
    padding = {
        node.name: np.atleast_1d(np.asarray(node.attrs["padding_value"], np.float32))
        for node in graph.nodes
        if node.attrs.get("padding_value") is not None
    }
    quantizer = assignment.input
    if quantizer is not None:
        if not quantizer.signed:
            low = np.minimum(low, np.float32(0))
            graph, folded = fold_zero_point(graph, low)
            padding |= folded
        quantizer = replace(quantizer, range_min=low, range_max=high)
    nodes = {
        name: replace(node, output=outputs.get(name), padding_value=padding.get(name))
        for name, node in assignment.nodes.items()
    }
    return CalibratedGraph(
        graph=graph,
        nodes=nodes,
        input=quantizer,
        flatten_saturates=options.flatten == "saturate",
        notes=notes,
    )


def observe(
    graph: Graph,
    assignment: Assignment,
    samples: np.ndarray,
    options,
    progress: Progress | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray | None, np.ndarray | None]:
    """Return the range of every quantizer over all batches.

    Returns
    -------
    ranges : dict of str to float32 array of shape () or (channels,)
        Largest magnitudes at the nodes with an output quantizer.
    low, high : float32 array or None
        Range of float inputs.
    """
    observer = make_observer(options.observer, options.momentum)
    meter = Meter(graph, assignment, observer)
    ranges: dict[str, np.ndarray] = {}
    low = high = None
    size, epochs = options.calibration.batch_size, options.calibration.epochs
    total = epochs * math.ceil(len(samples) / size)
    batches = _measured(graph, samples, options.calibration, meter)
    for done, found in enumerate(batches, start=1):
        for name, new in found.ranges.items():
            ranges[name] = observer.merge(ranges.get(name), new)
        if found.high is not None:
            high = observer.merge(high, found.high)
            low = observer.merge(low, -found.negative, lower=True)
        if progress is not None:
            progress(done, total)
    return ranges, low, high


def _measured(graph: Graph, samples: np.ndarray, calibration, meter: Meter) -> Iterator[Measured]:
    """Yield the measurements of every batch."""
    size = calibration.batch_size
    interleaved = streams(graph, samples, size)
    for _ in range(calibration.epochs):
        if keeps_state(graph):
            yield from meter.successive(samples, size, interleaved)
            continue
        for start in range(0, len(samples), size):
            yield meter.batch(samples[start : start + size])


def streams(graph: Graph, samples: np.ndarray, batch_size: int) -> int:
    """Return the number of interleaved videos: a batch has one frame of each, as in QuantizeML."""
    temporal = [node.name for node in graph.nodes if node.operation.temporal]
    if not temporal:
        return 1
    if len(samples) % batch_size:
        fitting = len(samples) - len(samples) % batch_size or batch_size
        raise DataError(
            f"calibration samples of {graph.name}: found {len(samples)} frames in batches of"
            f" {batch_size}; the temporal layer {temporal[0]} takes one frame of {batch_size}"
            f" videos in a batch, so their number must be a multiple of it; set"
            f" {setting('quantization.calibration.batch_size', 1)} for the frames of one video, or"
            f" {setting('quantization.calibration.samples', fitting)}"
        )
    return batch_size
