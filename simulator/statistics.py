"""Statistics of a run per layer: sparsity, operations, memory, saturated values."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from simulator.program import Program

KINDS = {
    "input": "inputs beyond the range of the quantizer, or of the accumulator after their shift",
    "input below zero": "inputs below what an unsigned quantizer holds",
    "flatten": "inputs beyond the container in which the reference flattens them",
    "accumulator": "sums beyond the accumulator, before or after the bias",
    "bias": "bias constants beyond the accumulator",
    "activation product": "scaled sums beyond the buffer, before the look-up table",
    "activation": "sums beyond the index of the look-up table",
    "pooled": "values beyond 32 bits once aligned for a global sum",
    "global sum": "global sums beyond 32 bits",
    "output product": "scaled sums beyond the buffer",
    "output": "outputs beyond their bits",
}
"""Stage of a tally to the values that saturate there, in the order of computation."""


@dataclass(frozen=True, kw_only=True)
class LayerStatistics:
    """Statistics of one layer over a run.

    Attributes
    ----------
    name, type : str
    macs : int
        Multiply-accumulates per image if no input were zero.
    effective_macs : float
        `macs` times the share of nonzero inputs: this project's estimate of event-driven work,
        which ignores border effects.
    weight_bytes : int
        Bytes of weights at their register width.
    output_sparsity : float
        Share of zeros in the output.
    output_min, output_max : int or float
    saturated : dict of str to int
        Values that saturated, by stage, over all images.
    """

    name: str
    type: str
    macs: int
    effective_macs: float
    weight_bytes: int
    output_sparsity: float
    output_min: float
    output_max: float
    saturated: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """Number of values of one kind that saturated in one layer over a run.

    A value counts once, however often it saturates within a stage. Values that a ReLU clips at 0 or
    at its maximum are not counted, since that is the activation's definition.

    Attributes
    ----------
    layer : str
    kind : str
        One of `KINDS`.
    count : int
        Values that saturated; at least 1.
    total : int
        Values of that kind over all images of the run. Biases count once per image, so that
        `share` is the share of filters.
    """

    layer: str
    kind: str
    count: int
    total: int

    @property
    def share(self) -> float:
        """Ratio of saturated to all values, above 0 and at most 1."""
        return self.count / self.total


class Statistics:
    """Collector of statistics: ``simulate(..., statistics=Statistics(program))``."""

    def __init__(self, program: Program):
        self.program = program
        self._zeros: dict[str, int] = defaultdict(int)
        self._sizes: dict[str, int] = defaultdict(int)
        self._low: dict[str, float] = {}
        self._high: dict[str, float] = {}
        self._saturated: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add_output(self, layer, size: int, zeros: int, low, high) -> None:
        """Add one batch of a layer's output: its number of values and zeros, and its extremes."""
        self._zeros[layer.name] += zeros
        self._sizes[layer.name] += size
        self._low[layer.name] = min(low, self._low.get(layer.name, low))
        self._high[layer.name] = max(high, self._high.get(layer.name, high))

    def tally(self, layer, stage: str, count: int) -> None:
        """Add `count` saturated values at a stage of a layer."""
        self._saturated[layer.name][stage] += count

    def counts(self) -> dict:
        """Return all counts as built-in types, to be passed to `add` of another collector."""
        return {
            "zeros": dict(self._zeros),
            "sizes": dict(self._sizes),
            "low": dict(self._low),
            "high": dict(self._high),
            "saturated": {name: dict(stages) for name, stages in self._saturated.items()},
        }

    def add(self, counts: dict) -> None:
        """Add the counts of other images of the same program, in any order."""
        for name, size in counts["sizes"].items():
            self._sizes[name] += size
            self._zeros[name] += counts["zeros"][name]
            low, high = counts["low"][name], counts["high"][name]
            self._low[name] = min(low, self._low.get(name, low))
            self._high[name] = max(high, self._high.get(name, high))
        for name, stages in counts["saturated"].items():
            for stage, count in stages.items():
                self._saturated[name][stage] += count

    def sparsity(self, name: str) -> float:
        """Return the share of zeros in the output of layer `name`."""
        return self._zeros[name] / max(self._sizes[name], 1)

    def saturations(self, images: int | None = None) -> tuple[Saturation, ...]:
        """Return saturations by layer in program order and by kind in order of computation.

        Parameters
        ----------
        images : int, optional
            Number of images; required if only `tally` was called, not `add_output`.
        """
        return tuple(
            Saturation(
                layer=layer.name,
                kind=kind,
                count=self._saturated[layer.name][kind],
                total=(images or self._images(layer)) * layer.values_at(kind),
            )
            for layer in self.program.layers
            for kind in sorted(self._saturated[layer.name], key=_order)
        )

    def _images(self, layer) -> int:
        """Return the number of images that a layer has processed."""
        return self._sizes[layer.name] // math.prod(layer.output_shape)

    def layers(self) -> tuple[LayerStatistics, ...]:
        """Return the statistics of every layer, in program order."""
        figures = []
        for layer in self.program.layers:
            # The first layer reads the image: every pixel is an event, even if 0.
            shares = [1 - self.sparsity(source) for source in layer.inputs] or [1.0]
            figures.append(
                LayerStatistics(
                    name=layer.name,
                    type=type(layer).__name__,
                    macs=layer.macs,
                    effective_macs=layer.macs * float(np.mean(shares)),
                    weight_bytes=layer.weight_bytes,
                    output_sparsity=self.sparsity(layer.name),
                    output_min=self._low.get(layer.name, 0),
                    output_max=self._high.get(layer.name, 0),
                    saturated=dict(sorted(self._saturated[layer.name].items())),
                )
            )
        return tuple(figures)


def _order(kind: str) -> tuple[int, str]:
    """Return the sort key of a kind; kinds of other chips come last."""
    names = list(KINDS)
    return names.index(kind) if kind in KINDS else len(names), kind


def measure(output: np.ndarray) -> tuple[int, float, float]:
    """Return the number of zeros, the smallest and the largest value."""
    # Comparing with 0 first is faster than count_nonzero on floats.
    values = output != 0 if output.dtype.kind == "f" else output
    # Calling the ufuncs directly halves the time of min() on small arrays, which most outputs are.
    low, high = (ufunc.reduce(output, axis=None) for ufunc in (np.minimum, np.maximum))
    return output.size - int(np.count_nonzero(values)), low.item(), high.item()
