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


def without_unaligned_flatten(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return an integer model of the same integers without such a Flatten, with a note on each."""
    for node in quantized.nodes:
        dense = _dense_after(quantized, node)
        if dense is not None:
            quantized = _replaced(quantized, node, dense)
    return quantized


def with_flatten_for_reshape(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the model with a Flatten in place of each Reshape that spreads channels over others.

    QuantizeML's Reshape keeps the fractional bits of the channels, which then have another number;
    its Flatten aligns the channels first, as the integers of the model require.
    """
    nodes = []
    for node in quantized.nodes:
        nodes += _flattened(quantized, node) if _spreads(quantized, node) else [node]
    return replace(quantized, nodes=tuple(nodes))


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


def _dense_after(quantized, node) -> QuantizedNode | None:
    """Return the dense layer after `node`, if that is a Flatten of unequal channels."""
    frac_bits = np.asarray(node.format.frac_bits)
    if node.op not in RESHAPES or frac_bits.ndim == 0 or (frac_bits == frac_bits[0]).all():
        return None
    source = quantized.node(node.inputs[0])
    dense = quantized.skip_ahead(node, KEEPS_VALUES)
    if len(source.shape) != 3 or dense is None or dense.op != "Dense":
        return None
    return dense


def _replaced(quantized, flatten, dense) -> QuantizedGraph:
    source = quantized.node(flatten.inputs[0])
    height, width, channels = source.shape
    units = dense.attrs["units"]
    frac_bits = np.asarray(source.format.frac_bits)
    options = {"filters": units, "kernel_size": (height, width)}
    options["use_bias"] = dense.attrs["use_bias"]
    kernel = dense.registers["kernel"].reshape(height, width, channels, units)
    shift = (frac_bits.max() - frac_bits).astype(np.uint8)
    convolution = replace(
        dense,
        op="Conv2D",
        inputs=flatten.inputs,
        attrs=make_node(dense.name, "Conv2D", flatten.inputs, options).attrs,
        registers={**dense.registers, "kernel": kernel, "input_shift": shift},
        shape=(1, 1, units),
    )
    vector = {"target_shape": (units,)}
    reshape = replace(
        flatten,
        op="Reshape",
        inputs=(dense.name,),
        attrs=make_node(flatten.name, "Reshape", (dense.name,), vector).attrs,
        format=dense.format,
        shape=dense.shape,
    )
    between, node = set(), flatten
    while node is not dense:
        between.add(node.name)
        node = quantized.sole_consumer(node)
    nodes = []
    for node in quantized.nodes:
        if node is dense:
            nodes += [convolution, reshape]
        elif node.name not in between:
            inputs = (flatten.name if name == dense.name else name for name in node.inputs)
            nodes.append(replace(node, inputs=tuple(inputs)))
    output = flatten.name if quantized.output == dense.name else quantized.output
    notes = (*quantized.notes, _note(flatten, dense, source.shape))
    return replace(quantized, nodes=tuple(nodes), output=output, notes=notes)


def _note(flatten, dense, shape) -> Note:
    height, width, _ = shape
    text = (
        f"{dense.name}: written as a Conv2D over the whole {height}x{width} map, with the same"
        f" integers: QuantizeML's {flatten.op} would saturate channels of different scales. For a"
        f" Dense, quantize with {setting('quantization.per_tensor_activations', True)}"
    )
    return Note(kind=EXPORTED, layers=(dense.name,), text=text)
