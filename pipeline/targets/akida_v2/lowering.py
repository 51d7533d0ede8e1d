"""Cut an integer model into Akida 2.0 layers.

Sequences follow the vendor's converter (cnn2snn, Apache-2.0): a neural node, then max pooling, an
activation and a global average, becomes one layer. What the chip cannot hold but the arithmetic
defines is converted and reported by `Program.limits`.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.messages.notes import program_lines
from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from pipeline.targets.akida_v2.layers import MAKERS, Refused, input_conv2d
from pipeline.targets.blocks import Block, blocks
from simulator import Program
from simulator.akida_v2 import InputData

NAME = "akida_v2"
ORDER = {"MaxPooling2D": 0, "ReLU": 1, "Activation": 1, "GlobalAveragePooling2D": 2}


CURES = {"SeparableConv2D": "apply transform unfuse_separable before quantizing"}


def lower(graph: QuantizedGraph) -> Program:
    """Return the Akida 2.0 program of an integer model.

    Raises
    ------
    IncompatibleModelError
        Listing every node that no layer can hold.
    """
    found, reasons = blocks(graph, ORDER)
    image = graph.nodes[0]
    layers, names = [], {}
    for block in found:
        try:
            layers.extend(_layers(block, image, names))
        except Refused as refusal:
            reasons.append(str(refusal))
        names[block] = block.head.name
    output = graph.nodes[-1]
    if reasons:
        raise IncompatibleModelError(graph.name, reasons, f"convert to {NAME}")
    return Program(
        name=graph.name,
        target=NAME,
        input_shape=image.shape,
        input_dtype=image.attrs["dtype"],
        output_shape=output.shape,
        layers=tuple(layers),
        notes=program_lines(graph.notes),
    )


def _layers(block: Block, image: QuantizedNode, names) -> list:
    """Return the layer of a block, after an InputData where the model's input needs one."""
    head = block.head
    if head.op not in MAKERS:
        raise Refused(
            f"{head.name}: {head.op} has no Akida 2.0 layer"
            + (f"; {CURES[head.op]}" if head.op in CURES else "")
        )
    feeds, shapes, made = [], [], []
    for source, between in block.sources:
        shapes.append(_shape3d(between[-1].shape if between else _fed_shape(source, image)))
        if source is not None:
            feeds.append(names.get(source, source.head.name))
            if head.op == "Dense":
                shapes[-1] = _shape3d(source.last.shape)
            elif any("input_shift" in step.registers for step in between):
                raise Refused(
                    f"{head.name}: {head.op} after a Flatten that shifts; only Dense takes one"
                )
    common = {
        "name": head.name,
        "inputs": tuple(feeds),
        "input_shapes": tuple(shapes),
    }
    first = not feeds or all(source.head.op == "Quantizer" for source, _ in block.sources)
    maker = MAKERS[head.op]
    if head.op == "Conv2D" and first and _input_convolution(block, image, shapes[0][2]):
        maker = input_conv2d
    elif not feeds and head.op != "Quantizer":
        name = f"{image.name}/data" if image.name == head.name else image.name
        made.append(_input_data(name, image, shapes[0]))
        common["inputs"] = (name,) * len(shapes)
    made.append(maker(block, common))
    return made


def _fed_shape(source: Block | None, image: QuantizedNode):
    return image.shape if source is None else source.last.shape


def _shape3d(shape) -> tuple[int, int, int]:
    """Pad a shape to (height, width, channels) with leading ones."""
    if len(shape) > 3:
        raise Refused(f"tensors of shape {tuple(shape)}; at most height, width, channels")
    return (*(1,) * (3 - len(shape)), *(int(n) for n in shape))


def _input_convolution(block: Block, image: QuantizedNode, channels: int) -> bool:
    """Say whether the first convolution is an InputConv2D."""
    padding = block.head.registers.get("padding_value")
    if padding is not None and padding.any():
        return True  # no other layer has a padding value
    source = block.sources[0][0]
    unsigned = image.attrs["dtype"] == "uint8"
    if source is not None:
        unsigned = not source.head.bits["output_signed"]
    activated = block.tail_node("ReLU") or block.tail_node("Activation")
    pooled = block.tail_node("GlobalAveragePooling2D")
    return channels in (1, 3) and unsigned and activated is not None and pooled is None


def _input_data(name: str, image: QuantizedNode, shape) -> InputData:
    dtype = np.dtype(image.attrs["dtype"])
    return InputData(
        name=name,
        inputs=(),
        input_shapes=(shape,),
        input_bits=dtype.itemsize * 8,
        input_signed=dtype.kind == "i",
    )
