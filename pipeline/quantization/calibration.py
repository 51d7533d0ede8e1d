"""Measure the ranges of activations on samples, and settle everything that stays float.

Steps and order are those of QuantizeML 1.2.5 (``calibrate``): ranges of all quantizers on the
unchanged float graph, then cross-layer equalization, then the zero point of float inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.assignment import Assignment
from pipeline.quantization.calibrated_graph import (
    CalibratedGraph,
    InputQuantizer,
    NodeQuantization,
    OutputQuantizer,
)
from pipeline.quantization.equalization import equalize
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
        Of the same graph.
    samples : array of shape (n, *input shape)
        Images in the dtype of the graph's input.
    options : Quantization
        The ``quantization`` section of the configuration.
    progress : function of (batches done, batches in all), optional

    Raises
    ------
    ModelError
        When an activation overflows or is not a number.
    """
    ranges, low, high = observe(graph, assignment, samples, options, progress)
    quantizers = {name: n.output for name, n in assignment.nodes.items() if n.output}
    notes = tuple(_dead_channels(ranges))
    rates = {name: np.ones_like(value) for name, value in ranges.items()}
    if options.equalize:
        graph, ranges, rates = equalize(graph, quantizers, ranges)
    padding = {
        node.name: np.atleast_1d(np.asarray(node.attrs["padding_value"], np.float32))
        for node in graph.nodes
        if node.attrs.get("padding_value") is not None
    }
    spec, input_quantizer = assignment.input, None
    if spec is not None:
        if not spec.signed:
            low = np.minimum(low, np.float32(0))
            graph, folded = fold_zero_point(graph, low)
            padding |= folded
        input_quantizer = InputQuantizer(
            bits=spec.bits,
            signed=spec.signed,
            per_tensor=spec.per_tensor,
            range_min=low,
            range_max=high,
        )
    nodes = {
        name: NodeQuantization(
            weight_bits=node.weight_bits,
            buffer_bits=node.buffer_bits,
            output=_with_range(node.output, ranges.get(name), rates.get(name)),
            lut_bits=node.lut_bits,
            padding_value=padding.get(name),
        )
        for name, node in assignment.nodes.items()
    }
    return CalibratedGraph(
        graph=graph,
        nodes=nodes,
        input=input_quantizer,
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
    quantizers = {name: n.output for name, n in assignment.nodes.items() if n.output}
    observer = make_observer(options.observer, options.momentum)
    ranges: dict[str, np.ndarray] = {}
    low = high = None

    def probe(name, values):
        if name in quantizers:
            per_tensor = quantizers[name].per_tensor
            new = observer.measure(np.abs(values), per_tensor=per_tensor)
            if not np.isfinite(new).all():
                raise ModelError(
                    f"{name}: its output is infinite or not a number on the calibration samples;"
                    " check the layer's weights and those before it"
                )
            ranges[name] = observer.merge(ranges.get(name), new)

    size, epochs = options.calibration.batch_size, options.calibration.epochs
    total = epochs * math.ceil(len(samples) / size)
    starts = [start for _ in range(epochs) for start in range(0, len(samples), size)]
    for done, start in enumerate(starts, 1):
        batch = samples[start : start + size]
        if assignment.input is not None:
            per_tensor = assignment.input.per_tensor
            values = np.asarray(batch, np.float32)
            high = observer.merge(high, observer.measure(values, per_tensor=per_tensor))
            smallest = -observer.measure(-values, per_tensor=per_tensor)
            low = observer.merge(low, smallest, lower=True)
        forward(graph, batch, batch_size=len(batch), probe=probe)
        if progress is not None:
            progress(done, total)
    return ranges, low, high


def _with_range(spec, range_max, rate):
    if spec is None:
        return None
    return OutputQuantizer(
        bits=spec.bits,
        signed=spec.signed,
        per_tensor=spec.per_tensor,
        range_max=range_max,
        rescaling_rate=rate,
        scale_bits=spec.scale_bits,
        buffer_bits=spec.buffer_bits,
    )


def _dead_channels(ranges: Mapping[str, np.ndarray]):
    for name, value in ranges.items():
        dead = int((value == 0).sum())
        if dead and value.ndim == 0:
            yield f"{name}: its output is 0 for every calibration sample"
        elif dead:
            yield f"{name}: {dead} of {value.size} channels are 0 for every calibration sample"
