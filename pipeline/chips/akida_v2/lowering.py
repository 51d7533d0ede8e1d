"""Lower an integer model to Akida 2.0 layers.

As in the vendor's converter (cnn2snn, Apache-2.0), a neural node with the max pooling, activation
and global average after it becomes one layer. The model breaks no rule of
`pipeline.chips.akida_v2.rules` except emulated ones; `Program.exceeded` reports what exceeds the
chip's limits although the emulator's arithmetic defines it.
"""

from __future__ import annotations

import numpy as np

from pipeline.chips.akida_v2.kinds import needs_input_data, reads_pixels
from pipeline.chips.akida_v2.layers import (
    LAYER_BUILDERS,
    dense_with_shifts,
    dequantizer,
    input_conv2d,
    outputs,
    quantizer,
)
from pipeline.chips.blocks import HEADS, Block, View, shape3d
from pipeline.messages.notes import program_lines
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.quantization.units import origin
from simulator import Program
from simulator.akida_v2 import InputData
from simulator.origin import Origin

NAME = "akida_v2"


def lower(graph: QuantizedGraph) -> Program:
    """Return the Akida 2.0 program of an integer model that breaks no rule."""
    view, layers = View(graph, graph), []
    for node in graph.nodes:
        if node.op in HEADS:
            known = {layer.name for layer in layers}
            made = _layers(view, view.by_head[node.name])
            layers.extend(layer for layer in made if layer.name not in known)
        elif node.op == "Quantizer":
            layers.append(quantizer(node, _common(view, node)))
        elif node.op == "Dequantizer":
            layers.append(dequantizer(node, _common(view, node)))
        elif node.op == "Outputs":
            layers.append(outputs(node, [layer for layer in layers if layer.name in node.inputs]))
    return Program(
        name=graph.name,
        target=NAME,
        input_shape=graph.input.shape,
        input_dtype=graph.input.attrs["dtype"],
        output_shape=graph.nodes[-1].shape,
        layers=tuple(layers),
        notes=program_lines(graph.notes),
        origin=_origin(view, {layer.name for layer in layers}),
    )


def _origin(view: View, layers: set[str]) -> Origin:
    """Return what one integer of each layer is worth; layers of the host give floats."""
    ends = {block.name: block.last.name for block in view.blocks}
    ends |= {node.name: node.name for node in view.nodes("Quantizer")}
    return origin(view.graph, {name: end for name, end in ends.items() if name in layers})


def _layers(view: View, block: Block) -> list:
    """Return the layer of a block, after an InputData where the model's input needs one."""
    head, made = block.head, []
    common = _common(view, head)
    maker = LAYER_BUILDERS[head.op]
    if reads_pixels(view, block):
        maker = input_conv2d
    elif needs_input_data(view, block):
        image = view.graph.input
        name = f"{image.name}/data" if image.name == head.name else image.name
        made.append(_input_data(name, image, common["input_shapes"][0]))
        common["inputs"] = (name,) * len(common["input_shapes"])
    layer = maker(block, common)
    if head.op == "Dense":
        layer = dense_with_shifts(layer, view.origin(head.inputs[0])[1])
    return [*made, layer]


def _common(view: View, node: QuantizedNode) -> dict:
    """Return a layer's name, the names of its producers, and its input shapes."""
    feeds, shapes = [], []
    for name in node.inputs:
        source, between = view.origin(name)
        flat = node.op == "Dense" and source.op != "Input"
        shapes.append(shape3d(source.shape if flat or not between else between[-1].shape))
        if source.op != "Input":
            owner = view.owner(source)
            feeds.append(source.name if owner is None else owner.name)
    return {"name": node.name, "inputs": tuple(feeds), "input_shapes": tuple(shapes)}


def _input_data(name: str, image: QuantizedNode, shape) -> InputData:
    dtype = np.dtype(image.attrs["dtype"])
    return InputData(
        name=name,
        inputs=(),
        input_shapes=(shape,),
        input_bits=dtype.itemsize * 8,
        input_signed=dtype.kind == "i",
    )
