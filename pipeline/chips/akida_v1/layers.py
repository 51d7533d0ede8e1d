"""Which Akida 1.0 layer a block becomes, and what the chip's limits look at."""

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
"""Width of a pixel, and the largest one."""


def input_bits(image) -> int:
    """Return the width of the inputs: a pixel's, where quantizing has not chosen another."""
    return image.format.value_bits if hasattr(image, "format") else PIXEL_BITS


def reads_image(view: View, block: Block) -> bool:
    """Return whether a block becomes InputConvolutional: a Conv2D on an image."""
    image = view.graph.shapes[view.graph.input.name]
    first = block.head.op == "Conv2D" and view.source(block.head).op == "Input"
    return first and image[-1] in INPUT_CHANNELS


def kind(view: View, block: Block) -> str:
    """Return the class of layer that a block becomes; its operation if there is none."""
    if reads_image(view, block):
        return "InputConvolutional"
    return KINDS.get(block.head.op, block.head.op)


def facts(view: View) -> Iterator[LayerFacts]:
    """Yield what limits look at, of every layer that the model becomes."""
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
