"""Map blocks to Akida 1.0 layers, and collect the facts that the chip's limits are checked on."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.blocks import Block, View, layer_facts, shape3d
from simulator.akida_v1.limits import INPUT_CHANNELS
from simulator.facts import LayerFacts

KINDS = {
    "Conv2D": "Convolutional",
    "SeparableConv2D": "SeparableConvolutional",
    "Dense": "FullyConnected",
}
PIXEL_BITS, PIXEL = 8, 255
"""Bit width of a pixel, and the largest pixel value."""


def input_bits(image) -> int:
    """Return the bit width of the inputs; that of a pixel unless quantization chose another."""
    return image.format.value_bits if hasattr(image, "format") else PIXEL_BITS


def reads_image(view: View, block: Block) -> bool:
    """Return True if a block becomes InputConvolutional: a Conv2D on an image."""
    image = view.graph.shapes[view.graph.input.name]
    first = block.head.op == "Conv2D" and view.source(block.head).op == "Input"
    return first and image[-1] in INPUT_CHANNELS


def kind(view: View, block: Block) -> str:
    """Return the layer class that a block becomes, or its operation if it becomes none."""
    if reads_image(view, block):
        return "InputConvolutional"
    return KINDS.get(block.head.op, block.head.op)


def facts(view: View) -> Iterator[LayerFacts]:
    """Yield the facts that limits are checked on, for every layer that the model becomes."""
    kinds = {block.name: kind(view, block) for block in view.blocks}
    first = [block for block in view.blocks if view.source(block.head).op == "Input"]
    if any(kinds[block.name] != "InputConvolutional" for block in first):
        image = view.graph.input
        shape = shape3d(view.graph.shapes[image.name])
        yield LayerFacts(
            name=image.name,
            kind="InputData",
            input_shape=shape,
            shape=shape,
            input_bits=input_bits(image),
            consumers=tuple(kinds[block.name] for block in first),
        )
    for block in view.blocks:
        yield layer_facts(view, block, kinds)
