"""Search the range of a quantized output for the least error, saturation against step size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import DEPTHWISE
from pipeline.quantization.calibrated_graph import CalibratedGraph, OutputQuantizer
from pipeline.quantization.equalization import divide_kernel, ideal_range, next_layer
from pipeline.quantization.fixed_point import floor_log2, max_frac_bits

FACTORS, WIDE_FACTORS = np.linspace(0.25, 1.05, 30), np.linspace(0.5, 1.05, 12)
"""Range over largest value, tried for each output; at 8 bits and more."""
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
    return consumer.op in BY_CHANNEL or weight_bits >= bits


@dataclass(frozen=True, eq=False)
class Values:
    """Sums before an output quantizer, and the float model's output at the same places.

    Attributes
    ----------
    sums, targets : float64 arrays of shape (places, channels)
        In units of the float model.
    """

    sums: np.ndarray
    targets: np.ndarray

    def errors(self, quantizer: OutputQuantizer) -> np.ndarray:
        """Return the mean squared error of each channel, of shape (channels,)."""
        bits = quantizer.bits - quantizer.signed
        step = np.exp2(-max_frac_bits(bits, quantizer.range_max)) / quantizer.rescaling_rate
        levels = np.clip(np.floor(self.sums / step + 0.5), -(2.0**bits), 2.0**bits - 1)
        return np.square(levels * step - self.targets).mean(axis=0)


def some_places(
    sums: np.ndarray, targets: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays (n, ..., channels) at some places of each image: (places, channels)."""
    size = sums.shape[-1]
    sums, targets = (array.reshape(len(sums), -1, size) for array in (sums, targets))
    chosen = rng.choice(sums.shape[1], min(sums.shape[1], PLACES), replace=False)
    return sums[:, chosen].reshape(-1, size), targets[:, chosen].reshape(-1, size).astype(float)


def refine_range(
    calibrated: CalibratedGraph, name: str, fit: Values, held: Values
) -> tuple[Graph, OutputQuantizer]:
    """Return the quantizer of least error, and the graph whose next layer takes its factor back.

    Both are the given ones where held-out images find no better range.

    Parameters
    ----------
    calibrated : CalibratedGraph
        As refined so far.
    name : str
        Node of the quantizer.
    fit, held : Values
        Of images to fit on, and of others to choose by.
    """
    graph, quantizer = calibrated.graph, calibrated.nodes[name].output
    found, by_channel = _consumer(calibrated, name)
    best, errors = quantizer, _pooled(fit.errors(quantizer), by_channel)
    largest = np.abs(fit.sums).max(axis=0 if by_channel else None)
    top = np.float32(np.max(largest))
    for factor in WIDE_FACTORS if quantizer.bits >= 8 else FACTORS:
        reach = np.asarray(largest * factor, np.float32)
        candidate = _ranged(quantizer, reach, found is not None, top)
        new = _pooled(fit.errors(candidate), by_channel)
        best, errors = _better(best, errors, candidate, new)
    if not held.errors(best).sum() < held.errors(quantizer).sum():
        return graph, quantizer
    if found is None:
        return graph, best
    ratio = np.asarray(best.rescaling_rate / quantizer.rescaling_rate, np.float32)
    changed = divide_kernel(found[0], ratio, found[1])
    return graph.with_nodes(changed if n.name == changed.name else n for n in graph.nodes), best


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


def _ranged(quantizer, reach, movable, top) -> OutputQuantizer:
    """Return the quantizer that reaches as far as `reach`, float32 of shape () or (channels,)."""
    if not movable:
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


def _pooled(errors, by_channel):
    return errors if by_channel else errors.sum()


def _better(best, errors, candidate, new):
    """Return the better of two quantizers, channel by channel where both have such ranges."""
    improves = new < errors
    if not np.any(improves):
        return best, errors
    if np.all(improves):
        return candidate, new
    range_max = np.where(improves, candidate.range_max, best.range_max)
    if candidate.per_tensor:
        if not np.array_equal(best.range_max, candidate.range_max):
            # One range for all channels: those of today's rule cannot be mixed in.
            return (candidate, new) if new.sum() < errors.sum() else (best, errors)
        range_max = candidate.range_max
    rate = np.where(improves, candidate.rescaling_rate, best.rescaling_rate)
    mixed = replace(
        best,
        range_max=np.asarray(range_max, np.float32),
        rescaling_rate=np.asarray(rate, np.float32),
    )
    return mixed, np.where(improves, new, errors)
