"""Rebuild a legacy (1.0) float graph from its integers: the opposite of `integerize_legacy`."""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.quantization.floats.differences import refusals
from pipeline.quantization.floats.legacy_units import with_small_factors
from pipeline.quantization.integerize_legacy import LAYERS, integerize_legacy
from pipeline.quantization.legacy_graph import LARGEST_FACTOR, LegacyGraph, WeightQuantizer
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

STEPS = np.arange(-4, 5)
"""Neighbours of a float32 that are tried, in units in the last place."""


def restore_legacy(quantized: QuantizedGraph) -> LegacyGraph:
    """Return a legacy graph whose integers, factors and biases are those of an integer model.

    Parameters
    ----------
    quantized : QuantizedGraph
        Of the scheme cnn2snn.

    Raises
    ------
    IncompatibleModelError
        If the rule of the scheme gives no kernel these integers and factors; names all layers.
    """
    quantized = with_small_factors(quantized)
    nodes, quantizers = [], {}
    for node in quantized.nodes:
        op, attrs, weights = node.op, node.attrs, {}
        if "step" in node.registers:
            op = "QuantizedReLU"
        if node.op in LAYERS:
            for name, bits in _kernels(node):
                factor = node.registers[f"{name}_factor"]
                weights[name] = _kernel(node.registers[name], bits, factor)
                kind = "max" if np.ndim(factor) == 0 else "max_per_axis"
                quantizers[node.name, name] = WeightQuantizer(bits=bits, range=kind)
            if "bias" in node.registers:
                weights["bias"] = node.registers["bias"]
        nodes.append(make_node(node.name, op, node.inputs, attrs, weights))
    restored = LegacyGraph(
        graph=Graph(quantized.name, tuple(nodes), quantized.output),
        quantizers=quantizers,
        notes=quantized.notes,
        input_bits=quantized.nodes[0].format.value_bits,
    )
    _check(restored, quantized)
    return restored


def _kernels(node: QuantizedNode):
    """Yield the kernels of a layer with their widths."""
    for name in node.registers:
        if name.endswith("kernel"):
            yield name, node.bits["depthwise_weights" if name.startswith("depth") else "weights"]


def _kernel(integers: np.ndarray, bits: int, factor: np.ndarray) -> np.ndarray:
    """Return float weights whose largest gives the factor, where the integers reach the largest."""
    highest = 2 ** (bits - 1) - 1
    kernel = np.asarray(integers / np.asarray(factor, np.float64), np.float32)
    full = np.abs(integers.astype(np.int64)) == highest
    # At the limit, a largest weight a little below its integer, so that rounding passes it.
    limited = np.float32((highest - 0.25) / LARGEST_FACTOR)
    largest = np.where(factor < LARGEST_FACTOR, _largest(bits, factor), limited)
    return np.where(full, np.sign(integers) * largest, kernel).astype(np.float32)


def held_factors(bits: int, factor: np.ndarray) -> np.ndarray:
    """Return the nearest factors, float32, that follow from a largest weight of a kernel."""
    return np.float32(2 ** (bits - 1) - 1) / _largest(bits, np.asarray(factor, np.float32))


def _largest(bits, factor) -> np.ndarray:
    """Return the largest weights, float32, from which the rule finds the nearest factors."""
    highest = np.float32(2 ** (bits - 1) - 1)
    start = np.asarray(highest / np.asarray(factor, np.float64), np.float32)
    tried = (start.view(np.int32)[..., None] + STEPS).astype(np.int32).view(np.float32)
    error = np.abs(highest / tried - factor[..., None])
    return np.take_along_axis(tried, error.argmin(-1)[..., None], -1)[..., 0]


def _check(restored: LegacyGraph, quantized: QuantizedGraph) -> None:
    found = integerize_legacy(restored)
    differing = [
        refusal
        for node, wanted in zip(found.nodes, quantized.nodes, strict=True)
        for refusal in refusals(quantized, node, wanted)
    ]
    if differing:
        raise IncompatibleModelError(
            quantized.name, differing, "write the kernels as floats with cnn2snn's quantizers"
        )
