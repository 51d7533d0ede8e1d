"""Replace a Flatten whose channels have scales of their own, and the dense layer after it.

Here the input shift of the dense layer aligns the channels, in its wide accumulator. QuantizeML
aligns them in its Flatten, within the width of the activations, where they saturate. A convolution
over the whole map has the same input shift in both, and so the same integers.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.traits import KEEPS_VALUES, RESHAPES
from pipeline.messages.notes import EXPORTED, Note
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

TAIL = ("ReLU", "Activation")
"""Activations, which the chip computes in the layer before them."""


def without_unaligned_flatten(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return an integer model of the same integers without such a Flatten, with a note on each."""
    for node in quantized.nodes:
        layer = _layer_after(quantized, node)
        if layer is not None:
            option = setting("quantization.per_tensor_activations", True)
            text = (
                f"with the same integers: QuantizeML's {node.op} would saturate channels of"
                f" different scales. For a {layer.op}, quantize with {option}"
            )
            quantized = over_whole_map(quantized, node, layer, text)
    return quantized


def with_aligning_flattens(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the model with a Flatten where channels are aligned, and a Reshape elsewhere.

    QuantizeML's Flatten aligns channels even if it moves none of them, and takes no rescaled
    images; its Reshape keeps their fractional bits, and so cannot spread them over other channels.
    """
    nodes = []
    for node in quantized.nodes:
        if _spreads(quantized, node):
            nodes += _flattened(quantized, node)
        elif node.op == "Flatten" and node.format.scales is not None:
            nodes.append(_as_reshape(node))
        elif node.op == "Flatten" and np.ndim(node.format.frac_bits):
            nodes.append(_reshaped(quantized, node))
        else:
            nodes.append(node)
    return replace(quantized, nodes=tuple(nodes))


def _reshaped(quantized, node) -> QuantizedNode:
    if quantized.node(node.inputs[0]).shape[-1] != node.shape[-1]:
        return node
    return _as_reshape(node)


def _as_reshape(node) -> QuantizedNode:
    attrs = make_node(node.name, "Reshape", node.inputs, {"target_shape": node.shape}).attrs
    return replace(node, op="Reshape", attrs=attrs)


def _spreads(quantized, node) -> bool:
    if node.op != "Reshape":
        return False
    source = quantized.node(node.inputs[0])
    return np.ndim(source.format.frac_bits) > 0 and source.shape[-1] != node.shape[-1]


def _flattened(quantized, node) -> list[QuantizedNode]:
    attrs = make_node(node.name, "Flatten", node.inputs).attrs
    flatten = replace(node, op="Flatten", attrs=attrs, shape=(math.prod(node.shape),))
    if len(node.shape) == 1:
        return [flatten]
    flatten = replace(flatten, name=f"{node.name}_flatten")
    while flatten.name in quantized.by_name:
        flatten = replace(flatten, name=f"{flatten.name}_1")
    return [flatten, replace(node, inputs=(flatten.name,), registers={}, bits={})]


def _layer_after(quantized, node) -> QuantizedNode | None:
    """Return the layer that sums over all values of a Flatten or Reshape of unequal channels."""
    frac_bits = np.asarray(node.format.frac_bits)
    if node.op not in RESHAPES or frac_bits.ndim == 0 or (frac_bits == frac_bits[0]).all():
        return None
    source = quantized.node(node.inputs[0])
    layer = quantized.skip_ahead(node, KEEPS_VALUES)
    if len(source.shape) != 3 or source.shape[-1] == node.shape[-1] or layer is None:
        return None
    pointwise = layer.op == "Conv2D" and layer.attrs["kernel_size"] == (1, 1)
    return layer if layer.op == "Dense" or (pointwise and layer.shape[:2] == (1, 1)) else None


def over_whole_map(
    quantized: QuantizedGraph, flatten: QuantizedNode, layer: QuantizedNode, why: str
) -> QuantizedGraph:
    """Return the model with a convolution over the whole map instead of a Flatten and a layer.

    Parameters
    ----------
    quantized : QuantizedGraph
    flatten, layer : QuantizedNode
        A Flatten or Reshape, and the dense layer or 1x1 convolution after it.
    why : str
        End of the note on it.
    """
    source = quantized.node(flatten.inputs[0])
    height, width, channels = source.shape
    units = layer.shape[-1]
    frac_bits = np.asarray(source.format.frac_bits)
    options = {"filters": units, "kernel_size": (height, width)}
    options["use_bias"] = layer.attrs["use_bias"]
    kernel = layer.registers["kernel"].reshape(height, width, channels, units)
    shift = {}
    if frac_bits.ndim:
        shift["input_shift"] = (frac_bits.max() - frac_bits).astype(np.uint8)
    convolution = replace(
        layer,
        op="Conv2D",
        inputs=flatten.inputs,
        attrs=make_node(layer.name, "Conv2D", flatten.inputs, options).attrs,
        registers={**layer.registers, "kernel": kernel, **shift},
        shape=(1, 1, units),
    )
    block = _block(quantized, layer)
    changed = {node.name: replace(node, shape=(1, 1, units)) for node in block}
    changed[layer.name] = convolution
    last = block[-1]
    between, node = set(), flatten
    while node is not layer:
        between.add(node.name)
        node = quantized.sole_consumer(node)
    nodes, feeds = [], {}
    for node in quantized.nodes:
        if node.name in between:
            continue
        node = changed.get(node.name, node)
        nodes.append(replace(node, inputs=tuple(feeds.get(name, name) for name in node.inputs)))
        if node.name == last.name and last.shape != (1, 1, units):
            nodes.append(reshaped(last, flatten.name, last.shape))
            feeds[last.name] = flatten.name
    output = feeds.get(quantized.output, quantized.output)
    notes = (*quantized.notes, _note(layer, source.shape, why))
    return replace(quantized, nodes=tuple(nodes), output=output, notes=notes)


def _block(quantized, layer) -> list[QuantizedNode]:
    """Return a layer and the activations after it, which the chip computes in the same layer."""
    block = [layer]
    while (after := quantized.sole_consumer(block[-1])) is not None and after.op in TAIL:
        block.append(after)
    return block


def _note(layer, shape, why) -> Note:
    height, width, _ = shape
    text = f"{layer.name}: written as a Conv2D over the whole {height}x{width} map, {why}"
    return Note(kind=EXPORTED, layers=(layer.name,), text=text)


def reshaped(source: QuantizedNode, name: str, shape: tuple[int, ...]) -> QuantizedNode:
    """Return a Reshape of a node's output."""
    attrs = make_node(name, "Reshape", (source.name,), {"target_shape": shape}).attrs
    return QuantizedNode(
        name=name,
        op="Reshape",
        inputs=(source.name,),
        attrs=attrs,
        format=source.format,
        shape=shape,
    )
