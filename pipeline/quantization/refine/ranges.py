"""Search the range of a quantized output for the least error, saturation against step size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import DEPTHWISE
from pipeline.quantization.calibrated_graph import CalibratedGraph, OutputQuantizer
from pipeline.quantization.equalization import divide_kernel, ideal_range, next_layer
from pipeline.quantization.fixed_point import floor_log2, max_frac_bits

FACTORS, WIDE_FACTORS = np.linspace(0.25, 1.25, 30), np.linspace(0.5, 2, 16)
"""Range over largest value, tried for each output; at 8 bits and more."""
FEW = 200
"""Images below which 8-bit ranges of single channels are at least as wide as today's rule has them:
they rest on few values, and what other images exceed costs more than coarser steps."""
BLOCKS = 8
"""Parts of the images, neighbours together, each of which is judged by ranges of the others."""
IMAGES, PLACES = 256, 64
"""Images, and places of each, on which ranges are searched."""
LIFT = 4
"""Powers of two that a range may be lifted by, or a channel be smaller than the largest."""
BY_CHANNEL = (*DEPTHWISE, "SeparableConv2D")
"""Layers whose kernel takes a factor per input channel without losing resolution."""


def takes_factors(consumer: Node, weight_bits: int, bits: int) -> bool:
    """Return whether factors per channel gain more in an output than they cost in the next kernel.

    A kernel that sums over channels loses resolution where they differ; it is worth that where its
    weights are not the narrower ones.
    """
    return consumer.op in BY_CHANNEL or (bits < 8 and weight_bits >= bits)


@dataclass(frozen=True, eq=False)
class Values:
    """Sums before an output quantizer, and the float model's output at the same places.

    Attributes
    ----------
    sums, targets : float32 arrays of shape (places, channels)
        In units of the float model.
    blocks : int array of shape (places,)
        Part of the images that a place belongs to.
    """

    sums: np.ndarray
    targets: np.ndarray
    blocks: np.ndarray

    def split(self) -> Iterator[tuple[Values, np.ndarray]]:
        """Yield each block, and the largest magnitude of each channel in all others."""
        parts = [
            Values(self.sums[chosen], self.targets[chosen], self.blocks[chosen])
            for block in np.unique(self.blocks)
            if (chosen := self.blocks == block).any()
        ]
        tops = np.stack([np.abs(part.sums).max(axis=0) for part in parts])
        for number, part in enumerate(parts):
            yield part, (np.delete(tops, number, axis=0) if len(parts) > 1 else tops).max(axis=0)

    def errors(self, quantizer: OutputQuantizer) -> np.ndarray:
        """Return the mean squared error of each channel, of shape (channels,)."""
        bits = quantizer.bits - quantizer.signed
        step = np.exp2(-max_frac_bits(bits, quantizer.range_max)) / quantizer.rescaling_rate
        step = np.asarray(step, np.float32)
        levels = self.sums * (1 / step)
        levels += np.float32(0.5)
        np.floor(levels, out=levels)
        np.clip(levels, -(2.0**bits), 2.0**bits - 1, out=levels)
        levels *= step
        levels -= self.targets
        return np.einsum("pc,pc->c", levels, levels) / len(levels)


def drawn(batches, rng: np.random.Generator, blocks: np.ndarray) -> Values:
    """Return values at some places of each image.

    Parameters
    ----------
    batches : iterable of (sums, targets)
        Arrays of shape (n, ..., channels).
    blocks : int array of shape (images,)
    """
    sums, targets = [], []
    for parts in batches:
        size = parts[0].shape[-1]
        found, wanted = (array.reshape(len(array), -1, size) for array in parts)
        chosen = rng.choice(found.shape[1], min(found.shape[1], PLACES), replace=False)
        sums.append(found[:, chosen].reshape(-1, size).astype(np.float32))
        targets.append(wanted[:, chosen].reshape(-1, size).astype(np.float32))
    sums, targets = np.concatenate(sums), np.concatenate(targets)
    return Values(sums, targets, np.repeat(blocks, len(sums) // len(blocks)))


def refine_range(
    calibrated: CalibratedGraph, name: str, fit: Values, held: Values, *, few: bool = False
) -> tuple[Graph, OutputQuantizer]:
    """Return the quantizer of least error, and the graph whose next layer takes its factor back.

    Both are the given ones where images that did not set the range find it no better.

    Parameters
    ----------
    calibrated : CalibratedGraph
        As refined so far.
    name : str
        Node of the quantizer.
    fit, held : Values
        Of images to fit on, and of others to choose by.
    few : bool
        True if there are fewer than `FEW` images.
    """
    graph, quantizer = calibrated.graph, calibrated.nodes[name].output
    found, by_channel = _consumer(calibrated, name)

    def ranged(largest, factor):
        top = np.float32(np.max(largest))
        reach = np.asarray((largest if by_channel else top) * factor, np.float32)
        return _ranged(quantizer, reach, found is not None, top)

    factors = WIDE_FACTORS if quantizer.bits >= 8 else FACTORS
    factor, error = best_factor(
        fit, factors, lambda part, top, factor: part.errors(ranged(top, factor)), by_channel
    )
    best = ranged(np.abs(fit.sums).max(axis=0), factor)
    if few and quantizer.bits >= 8 and not quantizer.per_tensor:
        reach = np.maximum(_reach(best), _reach(quantizer))
        best = _ranged(quantizer, reach, found is not None, reach.max())
    before = fit.errors(quantizer).sum(), held.errors(quantizer).sum()
    if not pooled(fit, held, error, held.errors(best).sum()) < pooled(fit, held, *before):
        return graph, quantizer
    if found is None:
        return graph, best
    ratio = np.asarray(best.rescaling_rate / quantizer.rescaling_rate, np.float32)
    changed = divide_kernel(found[0], ratio, found[1])
    return graph.with_nodes(changed if n.name == changed.name else n for n in graph.nodes), best


def best_factor(values: Values, factors, errors, by_channel: bool) -> np.ndarray:
    """Return the range over the largest value that does best on images that did not set it.

    Parameters
    ----------
    values : Values
    factors : array
    errors : function of (Values, largest magnitudes, factor)
        Returns the error of each channel.
    by_channel : bool
        Each channel may take its own factor, unless the factors are those of 8 bits: headroom for
        other sources matters more there than the last part of a step.

    Returns
    -------
    factor : float64 array of shape () or (channels,)
    error : float
        Sum over channels of the mean squared error.
    """
    total = np.zeros((len(factors), values.sums.shape[1]))
    for part, top in values.split():
        share = len(part.sums) / len(values.sums)
        total += share * np.stack([errors(part, top, factor) for factor in factors])
    if by_channel and factors is not WIDE_FACTORS:
        return factors[total.argmin(axis=0)], total.min(axis=0).sum()
    return factors[total.sum(axis=1).argmin()], total.sum(axis=1).min()


def pooled(fit: Values, held: Values, fitted: float, held_out: float) -> float:
    """Return the mean of two errors over all images.

    The error of fitted images is that by ranges of other images; today's range is of them all.
    """
    return (len(fit.sums) * fitted + len(held.sums) * held_out) / (len(fit.sums) + len(held.sums))


def _consumer(calibrated, name) -> tuple[tuple[Node, tuple | None] | None, bool]:
    """Return the layer that takes a factor back, and whether each channel has its own range."""
    graph, quantizer = calibrated.graph, calibrated.nodes[name].output
    if graph.node(name).op == "Add":
        return None, not quantizer.per_tensor
    found = next_layer(graph, name, per_tensor=quantizer.per_tensor)
    if not quantizer.per_tensor or found is None:
        return found, not quantizer.per_tensor
    wide = next_layer(graph, name, per_tensor=False)
    weight_bits = calibrated.nodes[found[0].name].weight_bits
    if wide is not None and takes_factors(wide[0], weight_bits, quantizer.bits):
        return wide, True
    return found, False


def _reach(quantizer) -> np.ndarray:
    """Return the range in units of the float model."""
    return np.asarray(quantizer.range_max / quantizer.rescaling_rate, np.float32)


def _ranged(quantizer, reach, movable, top) -> OutputQuantizer:
    """Return the quantizer that reaches as far as `reach`, float32 of shape () or (channels,)."""
    if not movable:
        reach = np.asarray(reach * quantizer.rescaling_rate, np.float32)
        return replace(quantizer, range_max=reach)
    dead = reach == 0
    # Ranges below 1/2 would lose levels, since a scale has no more fractional than value bits.
    lift = np.exp2(np.clip(-floor_log2(top), 0, LIFT)) if top > 0 else 1.0
    if quantizer.per_tensor and reach.ndim:
        reach = np.maximum(reach, top / 2.0**LIFT)
        ideal = ideal_range(np.float32(top * lift), quantizer.bits)
    else:
        ideal = ideal_range(np.asarray(reach * lift, np.float32), quantizer.bits)
    rate = np.where(dead, 1, ideal) / np.where(dead, 1, reach)
    return replace(
        quantizer,
        range_max=np.asarray(ideal, np.float32),
        rescaling_rate=np.asarray(rate, np.float32),
    )
