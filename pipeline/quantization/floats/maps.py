"""Write vectors as maps of one pixel where every channel of a layer's output has its own rate.

QuantizeML's quantizers of vectors have one rate. Where the upper bound of an activation fixes the
scale of each filter, the scales of such an output cannot follow from one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.traits import KEEPS_VALUES, NEURAL, RESHAPES
from pipeline.messages.notes import EXPORTED, Note
from pipeline.quantization.floats.chains import AVERAGE, chain_after, head_of, takes_rates
from pipeline.quantization.floats.flattening import over_whole_map, reshaped
from pipeline.quantization.floats.units import limits
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode


def with_maps(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return an integer model of the same integers with such maps, and a note on each."""
    for name in [node.name for node in quantized.nodes]:
        head = quantized.by_name.get(name)  # a Flatten may be gone
        chain = () if head is None else chain_after(quantized, head)
        if chain and _needs_rates(quantized, chain) and not _saturates(quantized, head):
            quantized = _as_maps(quantized, chain)
    return quantized


def _needs_rates(quantized, chain) -> bool:
    head, end = chain[0], chain[-1]
    if "output_scales" not in end.registers or len(chain) == 1 or takes_rates(quantized, end):
        return False
    if head_of(quantized, end) is not head:
        return False
    pooled = any(node.op == AVERAGE for node in chain)
    if len(end.shape) != 1 or not (pooled or head.op == "Dense"):
        return False
    if head.op not in NEURAL:  # its scales are fixed
        return np.ndim(end.rate) > 0 and np.ptp(end.rate) > 0
    low, high = limits(quantized, chain, head.format.frac_bits)
    return bool(np.any(low > high))


def _as_maps(quantized, chain) -> QuantizedGraph:
    """Return the model with a chain whose vectors are maps, and a Reshape after it."""
    text = "with the same integers: QuantizeML's vectors have one rate for all channels"
    if (flatten := _flatten_before(quantized, chain[0])) is not None:
        return over_whole_map(quantized, flatten, chain[0], text)
    changed = {node.name: _as_map(node) for node in chain if len(node.shape) == 1}
    nodes, end = [], chain[-1]
    vector, taken = f"{end.name}_vector", quantized.by_name
    while vector in taken:
        vector += "_1"
    for node in quantized.nodes:
        feeds = () if node.name in changed else (end.name,)
        found = changed.get(node.name, node)
        inputs = tuple(vector if name in feeds else name for name in node.inputs)
        if found.op == "Conv2D" and node.op == "Dense":
            nodes.append(_input_map(quantized, node))
            inputs = (nodes[-1].name,)
        nodes.append(replace(found, inputs=inputs))
        if node is end:
            nodes.append(reshaped(found, vector, end.shape))
    layers = tuple(changed)
    text = f"{', '.join(layers)}: written for maps of one pixel, {text}"
    note = Note(kind=EXPORTED, layers=layers, text=text)
    return replace(quantized, nodes=tuple(nodes), notes=(*quantized.notes, note))


def _saturates(quantized, layer) -> bool:
    """Return True if channels are aligned before a dense layer, within their own width."""
    flatten = _flatten_before(quantized, layer)
    return flatten is not None and bool(np.any(flatten.registers.get("input_shift", 0)))


def _flatten_before(quantized, layer) -> QuantizedNode | None:
    """Return the Flatten or Reshape of a whole map that a dense layer reads."""
    if layer.op != "Dense":
        return None
    source = quantized.skip_back(layer.inputs[0], set(KEEPS_VALUES) - set(RESHAPES))
    if source.op not in RESHAPES:
        return None
    return source if len(quantized.node(source.inputs[0]).shape) == 3 else None


def _input_map(quantized, dense) -> QuantizedNode:
    source = quantized.node(dense.inputs[0])
    name = f"{dense.name}_map"
    while name in quantized.by_name:
        name += "_1"
    return reshaped(source, name, (1, 1, *source.shape))


def _as_map(node: QuantizedNode) -> QuantizedNode:
    """Return a node whose output is a map of one pixel."""
    found = replace(node, shape=(1, 1, *node.shape))
    if node.op == AVERAGE:
        return replace(found, attrs={**node.attrs, "keepdims": True})
    if node.op != "Dense":
        return found
    options = {"filters": node.shape[-1], "kernel_size": (1, 1)}
    options["use_bias"] = node.attrs["use_bias"]
    return replace(
        found,
        op="Conv2D",
        attrs=make_node(node.name, "Conv2D", node.inputs, options).attrs,
        registers={**node.registers, "kernel": node.registers["kernel"][None, None]},
    )
