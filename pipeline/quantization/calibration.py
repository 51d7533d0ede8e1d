"""Measure the ranges of activations on samples, then equalize and fold the zero point.

Steps and order are those of QuantizeML 1.2.5 (``calibrate``): ranges of all quantizers on the
unchanged float graph, then cross-layer equalization, then the zero point of float inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.errors import DataError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.messages.settings import setting
from pipeline.quantization.assignment import Assignment
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.dead_channels import dead_channels
from pipeline.quantization.equalization import equalize
from pipeline.quantization.observers import Max, make_observer
from pipeline.quantization.zero_point import fold_zero_point

Progress = Callable[[int, int], None]
MEMORY = 100 << 20
"""Bytes of the largest array while ranges are measured; all others take several times as many."""
LOW, HIGH = ("low",), ("high",)
"""Keys of the input's range, beside names of layers."""


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
    progress : function of (images done, images in all), optional

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
    quantizers = assignment.outputs
    observer = make_observer(options.observer, options.momentum)
    size, epochs = options.calibration.batch_size, options.calibration.epochs
    interleaved = streams(graph, samples, size)
    part = images_at_once(graph, size) if interleaved == 1 and observer.by_parts else size
    merged, seen = _Merged(observer), 0

    def probe(name, values):
        nonlocal seen
        if name == graph.input.name and assignment.input is not None:
            per_tensor = assignment.input.per_tensor
            merged.add(HIGH, observer.measure(values, per_tensor=per_tensor))
            merged.add(LOW, -observer.measure(-values, per_tensor=per_tensor))
        if name in quantizers:
            # A ReLU has no negative outputs; a copy of all values costs more than their maximum.
            magnitudes = values if graph.node(name).op == "ReLU" else np.abs(values)
            new = observer.measure(magnitudes, per_tensor=quantizers[name].per_tensor)
            if not np.isfinite(new).all():
                raise ModelError(
                    f"{name}: its output is infinite or not a number on the calibration samples;"
                    " check the layer's weights and those before it"
                )
            merged.add(name, new)
        if name == graph.nodes[-1].name:
            seen += len(values)
            if seen % len(samples) % size == 0:
                merged.finish()
            if progress is not None:
                progress(seen, epochs * len(samples))

    for _ in range(epochs):
        forward(graph, samples, batch_size=part, probe=probe, streams=interleaved)
    low, high = (merged.ranges.pop(key, None) for key in (LOW, HIGH))
    return merged.ranges, low, high


def images_at_once(graph: Graph, size: int) -> int:
    """Return how many images of a batch to compute at once, a divisor of its size.

    Large maps of a whole batch, and what a convolution makes of them, would not fit memory.
    """
    largest = 4 * max(math.prod(shape) for shape in graph.shapes.values())
    most = min(max(MEMORY // largest, 1), size)
    return next(part for part in range(most, 0, -1) if size % part == 0)


class _Merged:
    """Ranges merged batch by batch, by name; a batch may come in several parts.

    Parameters
    ----------
    observer : Observer
    """

    def __init__(self, observer):
        self.observer, self.ranges, self._batch = observer, {}, {}

    def add(self, key: str | tuple[str], new: np.ndarray) -> None:
        """Take the range of a part of a batch."""
        self._batch[key] = Max().merge(self._batch.get(key), new, lower=key == LOW)

    def finish(self) -> None:
        """Merge the ranges of a batch whose parts were all added."""
        for key, new in self._batch.items():
            self.ranges[key] = self.observer.merge(self.ranges.get(key), new, lower=key == LOW)
        self._batch = {}


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
