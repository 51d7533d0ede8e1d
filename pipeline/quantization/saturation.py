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
from pipeline.graph.operations import NEURAL_OPS
from pipeline.messages.notes import SATURATION, Note
from pipeline.messages.saturation import saturation_notes
from simulator.statistics import Saturation

SAMPLES = 64
SUMMING = (*NEURAL_OPS, "Add")
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
    counts: Counter = Counter()
    totals: Counter = Counter()

    def probe(name, values):
        if name not in held.sums:
            return
        sums, layer = np.abs(values.astype(np.float64)) / held.sums[name].unit, _layer(graph, name)
        for kind, beyond in _beyond(graph.node(name).op, held.sums[name], sums):
            counts[layer, kind] += int(np.count_nonzero(beyond))
            totals[layer, kind] += values.size

    forward(graph, samples, batch_size=size, probe=probe, streams=streams)
    for (layer, kind), count in counts.items():
        if count:
            yield Saturation(layer=layer, kind=kind, count=count, total=totals[layer, kind])


def _beyond(op, held: Sum, sums):
    """Yield the kinds of saturation at a node, and where each happens."""
    if op in SUMMING:
        yield "accumulator", sums >= 2.0**held.value_bits
    elif op == "GlobalAveragePooling2D":
        yield "global sum", sums >= 2.0**held.value_bits
    if held.scales is not None:
        yield "output product", sums * held.scales >= 2.0**held.product_bits


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
    count = found.total()
    yield Note(
        kind=SATURATION,
        layers=tuple(found),
        text=f"{count:,} constants in {len(found)} layers are powers of two, which their registers"
        " hold one step too small (127 for 128): below 0.8% of each, harmless",
        details=tuple(f"{name}: {number} constants" for name, number in found.items()),
    )
