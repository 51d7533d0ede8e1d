"""Place the range of float inputs: its size is a power of two, so that room is left to place it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.quantization.calibrated_graph import CalibratedGraph, InputQuantizer
from pipeline.quantization.fixed_point import max_frac_bits
from pipeline.quantization.refine.frontier import spread
from pipeline.quantization.zero_point import fold_zero_point

IMAGES = 64
"""Images on which the range is placed, and on which it is judged."""


def refine_input(calibrated: CalibratedGraph, fit: np.ndarray, held: np.ndarray) -> CalibratedGraph:
    """Return a model whose input range holds the images better; the given one if none does.

    Calibration averages the ranges of batches, so that images of sources that came early are cut.
    The smallest and largest values, in the middle of a range of the next power of two, are not.

    Parameters
    ----------
    calibrated : CalibratedGraph
    fit, held : arrays of shape (n, *input shape)
        Images to place the range by; and others, on which it is judged too.
    """
    today = calibrated.input
    if today is None or today.signed:
        return calibrated
    fit, held = (_values(images, today.per_tensor) for images in (fit, held))
    best = min(_candidates(today, fit), key=lambda candidate: _error(candidate, fit))
    everything = np.concatenate([fit, held])
    if not _error(best, everything) < _error(today, everything):
        return calibrated
    graph, padding = fold_zero_point(calibrated.graph, best.range_min - today.range_min)
    nodes = {
        name: replace(node, padding_value=padding.get(name, node.padding_value))
        for name, node in calibrated.nodes.items()
    }
    return replace(calibrated, graph=graph, nodes=nodes, input=best)


def _values(images, per_tensor) -> np.ndarray:
    """Return some images' values as (n,) or (n, channels)."""
    some = np.asarray(images[np.sort(spread(len(images))[:IMAGES])], np.float64)
    return some.reshape(-1) if per_tensor else some.reshape(-1, some.shape[-1])


def _candidates(today: InputQuantizer, values):
    """Yield ranges of the power of two of today's, and of those beside it."""
    exponent = today.bits - max_frac_bits(today.bits, today.range_max - today.range_min)
    middle = (values.min(axis=0) + values.max(axis=0)) / 2
    for change in (-1, 0, 1):
        size = np.exp2(exponent + change)
        step = size / 2**today.bits
        # Zero is a level, and the lowest one at most.
        low = np.clip(np.rint((middle - size / 2) / step), 1 - 2**today.bits, 0) * step
        high = low + (2**today.bits - 1) * step
        low, high = (np.asarray(end, np.float32) for end in (low, high))
        yield replace(today, range_min=low, range_max=high)


def _error(quantizer: InputQuantizer, values) -> float:
    """Return the mean squared error of inputs through a quantizer."""
    low = np.asarray(quantizer.range_min, np.float64)
    step = np.exp2(-max_frac_bits(quantizer.bits, quantizer.range_max - quantizer.range_min))
    levels = np.clip(np.rint(values / step) + np.rint(-low / step), 0, 2**quantizer.bits - 1)
    return float(np.square(levels * step + low - values).mean())
