"""Choose the units of the activations of a legacy (1.0) model, so that its factors can be held.

The factor of a kernel, integers per unit of weight, is 1000 at most in files. A layer may have
larger ones here; then its activations are counted in a smaller or larger unit, by a power of two:
kernels, biases, and steps take it, all exactly, and the thresholds of the chip are the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.graph.build import make_node
from pipeline.quantization.integerize_legacy import LAYERS
from pipeline.quantization.legacy_graph import LARGEST_FACTOR
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

PIXEL_BITS = 8
"""Width of inputs that a Rescaling may follow."""


def with_small_factors(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return an integer model of the same thresholds whose factors are 1000 at most, if possible.

    Parameters
    ----------
    quantized : QuantizedGraph
        Of the scheme cnn2snn: a linear chain.
    """
    layers = [node for node in quantized.nodes if node.op in LAYERS]
    if all(np.max(f) <= LARGEST_FACTOR for node in layers for f in _factors(node).values()):
        return quantized
    units = _units([_excess(node) for node in layers])
    if units[0] != 1 and quantized.input.format.value_bits != PIXEL_BITS:
        return quantized
    between = dict(zip((node.name for node in layers), itertools.pairwise(units), strict=True))
    return replace(quantized, nodes=tuple(_counted(quantized.nodes, units[0], between)))


def _excess(node: QuantizedNode) -> float:
    """Return the power of two by which a layer's factors exceed the limit, at least."""
    first, *rest = _factors(node).values()
    if not rest:
        return _power(first)
    return _power(rest[0] * max(1.0, _power(first)))


def _factors(node) -> dict[str, np.ndarray]:
    """Return the factors of a layer, those of a depthwise kernel first."""
    return {key: node.registers[key] for key in sorted(node.registers) if key.endswith("_factor")}


def _power(factor) -> float:
    return float(np.exp2(np.ceil(np.log2(np.max(factor) / LARGEST_FACTOR))))


def _units(excess: Sequence[float]) -> list[float]:
    """Return a factor of the input's values, and of each layer's: 1 where that is possible.

    Those of a layer are larger than those before it by its excess at least; the outputs keep
    their unit.
    """
    most = [1.0]
    for part in reversed(excess):
        most.insert(0, most[0] / part)
    units = [min(1.0, most[0])]
    for part, bound in zip(excess, most[1:], strict=True):
        units.append(min(max(1.0, units[-1] * part), bound))
    return units


def _counted(
    nodes: Sequence[QuantizedNode], first: float, between: Mapping[str, tuple[float, float]]
) -> Iterator[QuantizedNode]:
    """Yield the nodes with other units of their values.

    Parameters
    ----------
    nodes : sequence of QuantizedNode
    first : float
        Unit of the image's values.
    between : mapping of str to pair of float
        Units before and after each layer with a kernel.
    """
    entry, *nodes = nodes
    yield entry
    source, unit = entry.name, first
    if first != 1 and not any(node.op == "Rescaling" for node in nodes):
        source = "rescaling" if all(n.name != "rescaling" for n in nodes) else "rescaling_input"
        yield _rescaling(entry, source, first)
    for node in nodes:
        registers, attrs, given = dict(node.registers), dict(node.attrs), unit
        if node.op == "Rescaling":
            attrs |= {key: attrs[key] * first for key in ("scale", "offset")}
        elif node.name in between:
            given, unit = between[node.name]
            registers = _kernels(node, given, unit)
        elif "step" in registers:
            registers["step"] = np.float32(registers["step"] * unit)
            attrs["max_value"] = attrs["max_value"] * unit
        inputs = tuple(source if name == entry.name else name for name in node.inputs)
        scales = np.float32(node.format.scales * unit)
        changed = replace(node, inputs=inputs, registers=registers, attrs=attrs)
        yield replace(changed, format=replace(node.format, scales=scales))


def _rescaling(entry, name, scale) -> QuantizedNode:
    attrs = make_node(name, "Rescaling", (entry.name,), {"scale": scale, "offset": 0.0}).attrs
    scales = np.float32(entry.format.scales * scale)
    node = replace(entry, name=name, op="Rescaling", inputs=(entry.name,), attrs=attrs)
    return replace(node, format=replace(entry.format, scales=scales))


def _kernels(node, given, unit) -> dict[str, np.ndarray]:
    """Return the registers of a layer whose values have other units before and after it."""
    first, *rest = _factors(node)
    changed = dict(node.registers)
    part = max(1.0, _power(changed[first])) if rest else 1.0
    for key, factor in zip((*rest, first), (given / unit * part, 1 / part), strict=False):
        changed[key] = np.float32(changed[key] * factor)
    if "bias" in changed:
        changed["bias"] = np.float32(changed["bias"] * unit)
    return changed
