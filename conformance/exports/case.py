"""A quantized model that is exported, and the images on which it is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program

CELL = 8
"""Pixels of one value: deep networks average white noise out."""


@dataclass(frozen=True, eq=False)
class Case:
    """A quantized model and images to compare on (frames of one stream if `temporal`)."""

    quantized: QuantizedGraph
    images: np.ndarray
    temporal: bool = False


Make = Callable[[], Case]
"""Quantizes a model; raises a CrossgradeError if our quantizer cannot."""


def in_range(quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    """Return float images without values below the range, which only the chip clips."""
    quantizer = next((node for node in quantized.nodes if node.op == "Quantizer"), None)
    if quantizer is None or "zero_points" not in quantizer.registers:
        return images
    low = -quantizer.registers["zero_points"] / quantizer.registers["scales"]
    return np.maximum(images, low.astype(np.float32))


def smooth_images(graph, count: int, *, unsigned: bool = False) -> np.ndarray:
    """Return images of cells of random values, in the dtype of an integer input.

    With `unsigned` none is negative, as Akida 1.0 takes them.
    """
    kind = np.iinfo(graph.input.attrs["dtype"])
    height, width, channels = graph.input.attrs["shape"]
    cells = (count, -(-height // CELL), -(-width // CELL), channels)
    low = 0 if unsigned else kind.min
    values = np.random.default_rng(0).integers(low, kind.max + 1, cells).astype(kind.dtype)
    return values.repeat(CELL, axis=1).repeat(CELL, axis=2)[:, :height, :width]


def equal_registers(first: Program, second: Program) -> bool:
    """Return True if programs have equal layers; an absent register is one of zeros."""
    layers = zip(first.layers, second.layers, strict=False)
    return len(first.layers) == len(second.layers) and all(
        type(a) is type(b)
        and all(_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
        for a, b in layers
    )


def _equal(a, b) -> bool:
    if a is None or b is None:
        return a is b or not np.any(b if a is None else a)
    return np.array_equal(a, b)
