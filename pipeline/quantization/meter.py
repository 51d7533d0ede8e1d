"""Measure batches of calibration samples at every quantizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.parts import parts, run_parts
from pipeline.quantization.assignment import Assignment
from pipeline.quantization.observers import Observer


@dataclass(eq=False, kw_only=True)
class Measured:
    """Measurements of a batch, float32 of shape () or (channels,).

    Attributes
    ----------
    ranges : dict of str to array
        Of the magnitudes at the nodes with an output quantizer, in the graph's order.
    high, negative : array or None
        Of float inputs, and of the same with the opposite sign.
    """

    ranges: dict[str, np.ndarray] = field(default_factory=dict)
    high: np.ndarray | None = None
    negative: np.ndarray | None = None

    def merge(self, other: Measured) -> None:
        """Include another part of the batch."""
        self.ranges = {
            name: np.maximum(value, other.ranges[name]) for name, value in self.ranges.items()
        }
        if self.high is not None:
            self.high = np.maximum(self.high, other.high)
            self.negative = np.maximum(self.negative, other.negative)


class Meter:
    """Measures batches by an observer.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    assignment : Assignment
    observer : Observer
    """

    def __init__(self, graph: Graph, assignment: Assignment, observer: Observer):
        self.graph, self.observer = graph, observer
        self.input, self.quantizers = assignment.input, assignment.outputs

    def successive(self, samples: np.ndarray, size: int, streams: int) -> Iterator[Measured]:
        """Yield the measurements of each batch of `size` samples of a graph that keeps state."""
        found: list[Measured] = []

        def probe(name, values):
            if name == self.graph.input.name:
                found.append(Measured())
            self._measure(found[-1], name, values)

        forward(self.graph, samples, batch_size=size, probe=probe, streams=streams)
        yield from found

    def batch(self, batch: np.ndarray) -> Measured:
        """Return the measurements of a batch of a graph without state, in parts if possible."""

        def run(part: slice) -> Measured:
            images = batch[part]
            (found,) = self.successive(images, len(images), 1)
            return found

        several = parts(self.graph, len(batch))
        first, *others = run_parts(
            run, several if self.observer.in_parts else [slice(0, len(batch))]
        )
        for other in others:
            first.merge(other)
        return first

    def _measure(self, found: Measured, name: str, values: np.ndarray) -> None:
        """Measure the output of a node."""
        observer = self.observer
        if name == self.graph.input.name and self.input is not None:
            per_tensor = self.input.per_tensor
            found.high = observer.measure(values, per_tensor=per_tensor)
            found.negative = observer.measure(-values, per_tensor=per_tensor)
        if name in self.quantizers:
            # A ReLU has no negative outputs; a copy of all values costs more than their maximum.
            magnitudes = values if self.graph.node(name).op == "ReLU" else np.abs(values)
            new = observer.measure(magnitudes, per_tensor=self.quantizers[name].per_tensor)
            if not np.isfinite(new).all():
                raise ModelError(
                    f"{name}: its output is infinite or not a number on the calibration samples;"
                    " check the layer's weights and those before it"
                )
            found.ranges[name] = new
