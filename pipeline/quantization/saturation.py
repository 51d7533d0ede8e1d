"""What saturates while a model is quantized: constants in their mantissas, sums on the samples.

The float model's values, in units of each accumulator, are the integers before they saturate, up
to rounding; nothing has to be lowered to a chip for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.traits import NEURAL
from pipeline.messages.notes import SATURATION, Note
from pipeline.messages.saturation import saturation_notes
from simulator.statistics import Saturation

SAMPLES = 64
SUMMING = (*NEURAL, "Add")
"""Operations that have an accumulator of their own; others continue one, or average it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum:
    """How a node's sum is held.

    Attributes
    ----------
    unit : float64 array of shape () or (channels,)
        Value of one unit of the sum.
    value_bits : int
        Width of the sum without its sign.
    scales : int array of shape () or (channels,), or None
        Mantissas that it is multiplied by; None where it is not.
    product_bits : int
        Width of that product without its sign.
    """

    unit: np.ndarray
    value_bits: int
    scales: np.ndarray | None = None
    product_bits: int = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class Held:
    """What the walk has noticed: the sum of each node, and constants that saturate.

    Attributes
    ----------
    sums : dict of str to Sum
    constants : Counter of str
        Mantissas of each node that saturate by one step.
    """

    sums: dict[str, Sum] = field(default_factory=dict)
    constants: Counter = field(default_factory=Counter)

    def count(self, name: str, values: np.ndarray, bits: int, shift: np.ndarray) -> None:
        """Count constants of a node whose mantissa saturates.

        Parameters
        ----------
        name : str
        values : float array
            Constants in the unit of their register.
        bits : int
            Width of the mantissa without its sign.
        shift : int array
            What the mantissa is shifted left by.
        """
        limit = (2.0**bits - 0.5) * np.exp2(np.asarray(shift, np.float64))
        self.constants[name] += int(np.count_nonzero(np.abs(values) >= limit))


def notes(graph: Graph, held: Held, samples: np.ndarray, streams: int, size: int) -> list[Note]:
    """Return notes and warnings on what saturates.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    held : Held
    samples : array of shape (n, *input shape)
        Calibration samples; the first ones are looked at.
    streams, size : int
        Interleaved videos, and images at a time, as in calibration.
    """
    some = samples[: max(SAMPLES // size, 1) * size] if streams > 1 else samples[:SAMPLES]
    found = list(_saturations(graph, held, some, streams, size))
    return [
        *_constants(held.constants),
        *saturation_notes(found, f"{len(some)} calibration samples"),
    ]


def _saturations(graph, held, samples, streams, size) -> Iterator[Saturation]:
    """Yield what saturates on samples, by the layer that it belongs to."""
    meter = _Meter(graph, held)
    forward(graph, samples, batch_size=size, probe=meter, streams=streams)
    for (layer, kind), count in meter.counts.items():
        if count:
            yield Saturation(layer=layer, kind=kind, count=count, total=meter.totals[layer, kind])


class _Meter:
    """Sees the float values of each node, and counts those that its integers cannot hold."""

    def __init__(self, graph: Graph, held: Held):
        self.graph, self.held = graph, held
        self.counts: Counter = Counter()
        self.totals: Counter = Counter()
        self._held_back: dict[str, np.ndarray] = {}

    def __call__(self, name: str, values: np.ndarray) -> None:
        """Count one batch of one node's values."""
        if (held := self.held.sums.get(name)) is None:
            return
        node, layer = self.graph.node(name), _layer(self.graph, name)
        units = values.astype(np.float64) / held.unit
        if node.op in SUMMING:
            units = self._summed(node, held, units, layer)
        elif node.op == "GlobalAveragePooling2D":
            self._count(layer, "global sum", np.abs(units) >= 2.0**held.value_bits)
        elif node.op == "ReLU" and (sums := self._held_back.pop(node.inputs[0], None)) is not None:
            # Where the sum has saturated, the float model's own value is not what follows.
            highest = node.attrs["max_value"]
            units = np.clip(sums, 0, np.inf if highest is None else highest / held.unit)
        if held.scales is not None:
            product = np.abs(units) * held.scales
            self._count(layer, "output product", product >= 2.0**held.product_bits)

    def _summed(self, node, held, units, layer) -> np.ndarray:
        """Return sums as the accumulator holds them: clipped before and after the bias."""
        bound = 2.0**held.value_bits
        bias = node.weights.get("bias", np.zeros(1)) / held.unit
        before = units - bias
        sums = np.clip(before, -bound, bound) + np.clip(bias, -bound, bound)
        self._count(layer, "accumulator", (np.abs(before) >= bound) | (np.abs(sums) >= bound))
        if "bias" in node.weights:
            beyond = np.broadcast_to(np.abs(bias) >= bound, units.shape)
            self._count(layer, "bias", beyond)
        sums = np.clip(sums, -bound, bound)
        follower = self.graph.sole_consumer(node)
        if follower is not None and follower.op == "ReLU":
            self._held_back[node.name] = sums
        return sums

    def _count(self, layer: str, kind: str, beyond: np.ndarray) -> None:
        self.counts[layer, kind] += int(np.count_nonzero(beyond))
        self.totals[layer, kind] += beyond.size


def _layer(graph: Graph, name: str) -> str:
    """Return the layer that a node's sum comes from."""
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
