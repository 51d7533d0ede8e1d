"""Count saturation in a quantized model: of constants in their mantissas, of sums on samples.

The float model's values in units of each accumulator are, up to rounding, the integers before
saturation; no lowering to a chip is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.parts import parts, run_parts
from pipeline.graph.traits import NEURAL
from pipeline.messages.notes import SATURATION, Note
from pipeline.messages.saturation import saturation_notes
from simulator.statistics import Saturation

SAMPLES = 64
SUMMING = (*NEURAL, "Add")
"""Operations with their own accumulator; others continue one, or average it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum:
    """Registers of a node's sum.

    Attributes
    ----------
    unit : float64 array of shape () or (channels,)
        Value of one unit of the sum.
    value_bits : int
        Bit width of the sum without sign.
    scales : int array of shape () or (channels,), or None
        Mantissas that multiply the sum; None if it is not rescaled.
    product_bits : int
        Bit width of that product without sign.
    """

    unit: np.ndarray
    value_bits: int
    scales: np.ndarray | None = None
    product_bits: int = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class Accumulators:
    """The sum of each node, and the constants that saturate.

    Attributes
    ----------
    sums : dict of str to Sum
    constants : Counter of str
        Number of mantissas of each node that saturate by one step.
    """

    sums: dict[str, Sum] = field(default_factory=dict)
    constants: Counter = field(default_factory=Counter)

    def count(self, name: str, values: np.ndarray, bits: int, shift: np.ndarray) -> None:
        """Count the constants of a node whose mantissa saturates.

        Parameters
        ----------
        name : str
        values : float array
            Constants in units of their register.
        bits : int
            Bit width of the mantissa without sign.
        shift : int array
            Left shift of the mantissa.
        """
        limit = (2.0**bits - 0.5) * np.exp2(np.asarray(shift, np.float64))
        self.constants[name] += int(np.count_nonzero(np.abs(values) >= limit))


def notes(
    graph: Graph,
    accumulators: Accumulators,
    samples: np.ndarray,
    streams: int,
    size: int,
    *,
    noise: bool = False,
) -> list[Note]:
    """Return notes and warnings on what saturates.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    accumulators : Accumulators
    samples : array of shape (n, *input shape)
        Calibration samples; only the first ones are used.
    streams, size : int
        Number of interleaved videos, and images per batch, as in calibration.
    noise : bool
        True if the samples are random.
    """
    some = samples[: max(SAMPLES // size, 1) * size] if streams > 1 else samples[:SAMPLES]
    found = list(_saturations(graph, accumulators, some, streams, size))
    where = f"{len(some)} {'random' if noise else 'calibration'} samples"
    return [*_constants(accumulators.constants), *saturation_notes(found, where, noise=noise)]


def _saturations(graph, accumulators, samples, streams, size) -> Iterator[Saturation]:
    """Yield the saturations on samples, by layer."""

    def counted(part: slice) -> _SaturationCounter:
        counter = _SaturationCounter(graph, accumulators)
        forward(graph, samples[part], batch_size=size, probe=counter, streams=streams)
        return counter

    counts, totals = Counter(), Counter()
    for counter in run_parts(counted, parts(graph, len(samples))):
        counts.update(counter.counts)
        totals.update(counter.totals)
    for (layer, kind), count in counts.items():
        if count:
            yield Saturation(layer=layer, kind=kind, count=count, total=totals[layer, kind])


class _SaturationCounter:
    """Counts the float values of each node that its integers cannot represent."""

    def __init__(self, graph: Graph, accumulators: Accumulators):
        self.graph, self.accumulators = graph, accumulators
        self.counts: Counter = Counter()
        self.totals: Counter = Counter()
        self._clipped: dict[str, np.ndarray] = {}

    def __call__(self, name: str, values: np.ndarray) -> None:
        """Count one batch of one node's values."""
        if (accumulator := self.accumulators.sums.get(name)) is None:
            return
        node = self.graph.node(name)
        clipped = self._clipped.pop(node.inputs[0], None) if node.op == "ReLU" else None
        # A value saturates only if an extreme of its channel does, since all conditions are
        # monotone: most layers need no further pass over their values.
        found, _ = self._conditions(node, accumulator, _extremes(values), None)
        if clipped is not None or any(np.any(beyond) for beyond in found.values()):
            found, sums = self._conditions(node, accumulator, values, clipped)
            follower = self.graph.sole_consumer(node)
            if node.op in SUMMING and follower is not None and follower.op == "ReLU":
                self._clipped[name] = sums
        layer = _layer(self.graph, name)
        for kind, beyond in found.items():
            self.counts[layer, kind] += int(np.count_nonzero(beyond))
            self.totals[layer, kind] += values.size

    def _conditions(self, node, accumulator, values, clipped) -> tuple[dict[str, np.ndarray], ...]:
        """Return where values saturate, by kind, and the values in units of the accumulator.

        Parameters
        ----------
        values : float32 array (..., channels)
            Of the float model.
        clipped : float64 array or None
            Saturated sums of the layer before a ReLU.
        """
        units, found = values.astype(np.float64) / accumulator.unit, {}
        if node.op in SUMMING:
            units, found = self._summed(node, accumulator, units)
        elif node.op == "GlobalAveragePooling2D":
            found["global sum"] = np.abs(units) >= 2.0**accumulator.value_bits
        elif clipped is not None:
            # Later values follow from the saturated sum, not from the float model's value.
            highest = node.attrs["max_value"]
            units = np.clip(clipped, 0, np.inf if highest is None else highest / accumulator.unit)
        if accumulator.scales is not None:
            product = np.abs(units) * accumulator.scales
            found["output product"] = product >= 2.0**accumulator.product_bits
        return found, units

    def _summed(self, node, accumulator, units) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return sums as in the accumulator, clipped before and after the bias, and conditions."""
        bound = 2.0**accumulator.value_bits
        bias = node.weights.get("bias", np.zeros(1)) / accumulator.unit
        before = units - bias
        sums = np.clip(before, -bound, bound) + np.clip(bias, -bound, bound)
        found = {"accumulator": (np.abs(before) >= bound) | (np.abs(sums) >= bound)}
        if "bias" in node.weights:
            found["bias"] = np.broadcast_to(np.abs(bias) >= bound, units.shape)
        return np.clip(sums, -bound, bound), found


def _extremes(values: np.ndarray) -> np.ndarray:
    """Return the smallest and the largest value of each channel, (2, channels)."""
    # Over lines first: loops over channels alone are mostly overhead.
    lines = values.reshape(-1, *values.shape[-2:])
    low, high = lines.min(axis=0), lines.max(axis=0)
    return np.stack([low.min(axis=0), high.max(axis=0)])


def _layer(graph: Graph, name: str) -> str:
    """Return the layer that computes a node's sum."""
    node = graph.node(name)
    while node.op not in SUMMING and len(node.inputs) == 1:
        node = graph.node(node.inputs[0])
    return node.name if node.op in SUMMING else name


def _constants(found: Counter) -> Iterator[Note]:
    found = +found
    if not found:
        return
    count, layers = found.total(), len(found)
    yield Note(
        kind=SATURATION,
        layers=tuple(found),
        text=f"constants that are powers of two: {count:,} in {layers} layer{'s' * (layers > 1)};"
        " their registers hold one step less (127 for 128), which is harmless below 1% of each",
        details=tuple(f"{name}: constants: {number}" for name, number in found.items()),
    )
