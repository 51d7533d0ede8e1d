"""What Akida 1.0's converter asks of a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce

import numpy as np

from pipeline.chips.akida_v1.layers import PIXEL, reads_image
from pipeline.chips.blocks import BORDERS, View, shape3d, size
from pipeline.chips.rule import Finding, Rule
from pipeline.chips.shared_rules import CONVERTER, SHARED, pool_padding, pool_padding_name
from pipeline.graph.graph import Graph
from pipeline.messages.notes import texts
from pipeline.preparation import PASSES_V1
from pipeline.preparation.head import cut_head
from simulator.akida_v1.limits import INPUT_CHANNELS

NEURAL = ("Conv2D", "SeparableConv2D", "Dense")
KNOWN = (
    *NEURAL,
    "Input",
    "Rescaling",
    "ReLU",
    "MaxPooling2D",
    "GlobalAveragePooling2D",
    "Flatten",
    "Reshape",
    "Dropout",
)
ELSEWHERE = (
    *BORDERS,
    "QuantizedReLU",
    "BatchNormalization",
    "AveragePooling2D",
    "ZeroPadding2D",
    "Add",
    "Concatenate",
)
"""Operations whose refusal has a rule of its own."""
POOLINGS = ("MaxPooling2D", "GlobalAveragePooling2D")
LARGEST_SUM = 256
"""Pixels of a global average: its sum of potentials must stay inside the chip's width."""
SUPPORTED = "Conv2D, SeparableConv2D, Dense, ReLU, MaxPooling2D, GlobalAveragePooling2D"


def sequential(view: View) -> Iterator[Finding]:
    """A model is one chain: every layer has one input and one reader."""
    for node in view.graph.nodes:
        readers = view.graph.consumers(node)
        if len(readers) > 1:
            yield Finding(
                layers=(node.name,),
                found=f"{len(readers)} readers: {', '.join(r.name for r in readers[:4])}",
                allowed="1",
                fix="use a model without branches, or Akida 2.0",
            )
        if len(node.inputs) > 1:
            yield Finding(
                layers=(node.name,),
                found=f"{node.op} of {len(node.inputs)} inputs",
                allowed="1",
                fix="use a model without branches, or Akida 2.0",
            )


def supported_layer(view: View) -> Iterator[Finding]:
    """Layers are convolutions, separable convolutions and Dense, with ReLU and pooling."""
    for node in view.graph.nodes:
        if node.op in (*KNOWN, *ELSEWHERE):
            continue
        pair = _pointwise_reader(view, node)
        found = node.attrs["activation"] if node.op == "Activation" else node.op
        yield Finding(
            layers=(node.name,),
            found=found,
            allowed=SUPPORTED,
            fix=f"fuse it with {pair.name}" if pair else "use ReLU and such layers, and retrain",
            transform="fuse_separable" if pair else None,
        )


def _pointwise_reader(view, node):
    if node.op != "DepthwiseConv2D":
        return None
    reader = view.graph.sole_consumer(node)
    pointwise = reader is not None and reader.op == "Conv2D"
    return reader if pointwise and reader.attrs["kernel_size"] == (1, 1) else None


def activation_between(view: View) -> Iterator[Finding]:
    """A ReLU is between any two neural layers."""
    for block in view.blocks:
        if block.head.op not in (*NEURAL, "DepthwiseConv2D") or "ReLU" in block.ops:
            continue
        fused = block.head.op == "DepthwiseConv2D" and _pointwise_reader(view, block.head)
        readers = [node for node in _unactivated(view, block.head) if node.op in NEURAL]
        if fused or not readers:
            continue
        yield Finding(
            layers=(block.name,),
            found=f"no ReLU before {readers[0].name}",
            allowed="a ReLU between them",
            fix="add a ReLU and retrain",
        )


def _unactivated(view: View, node) -> Iterator:
    """Yield what reads a layer's sums, pooled or not."""
    for reader in view.readers(node):
        if reader.op in POOLINGS:
            yield from _unactivated(view, reader)
        else:
            yield reader


def one_activation(view: View) -> Iterator[Finding]:
    """A ReLU follows a neural layer or its pooling, once."""
    for node in view.nodes("ReLU"):
        owner = view.owner(node)
        if owner is None or node not in owner.tail:
            yield Finding(
                layers=(node.name,),
                found=view.outside(node),
                allowed="after a neural layer",
                fix="remove it, or put a convolution before it",
            )
        elif owner.ops[: owner.tail.index(node)].count("ReLU"):
            yield Finding(
                layers=(node.name,),
                found=f"a second ReLU after {owner.name}",
                allowed="one",
                fix="remove one of them",
            )


def pooling_behind_layer(view: View) -> Iterator[Finding]:
    """Pooling follows a convolution, before its activation."""
    for node in view.nodes(*POOLINGS):
        owner = view.owner(node)
        inside = owner is not None and node in owner.tail and owner.head.op in NEURAL[:2]
        before = owner.ops[: owner.tail.index(node)] if inside else ()
        if inside and not before:
            continue
        average = node.op == "GlobalAveragePooling2D"
        what = view.graph.node(node.inputs[0])
        yield Finding(
            layers=(node.name,),
            found=f"after {what.name} ({what.op})",
            allowed="after a convolution",
            fix="put an identity 1x1 Conv2D before it" if average else "reorder and retrain",
            transform="gap_before_activation" if average else None,
        )


def average_pixels(view: View) -> Iterator[Finding]:
    """A global average is taken over at most {LARGEST_SUM} pixels."""
    for node in view.nodes("GlobalAveragePooling2D"):
        sides = shape3d(view.input_shape(node))[:2]
        if math.prod(sides) > LARGEST_SUM:
            yield Finding(
                layers=(node.name,),
                found=f"global average of {size(sides)} pixels",
                allowed=f"at most {LARGEST_SUM} pixels",
                fix="pool or stride more before it and retrain",
            )


def pixels(view: View) -> Iterator[Finding]:
    """Inputs have 8 bits, scaled by a Rescaling; float32 ones before a Rescaling are pixels."""
    node = view.graph.input
    dtype, readers = str(node.attrs["dtype"]), view.graph.consumers(node)
    scaled = bool(readers) and all(reader.op == "Rescaling" for reader in readers)
    if dtype not in ("uint8", "int8") and not (dtype == "float32" and scaled):
        yield Finding(
            layers=(node.name,),
            found=f"{dtype} inputs of unknown scale" if dtype == "float32" else f"{dtype} inputs",
            allowed="uint8 pixels, 0 to 255",
            fix="give the model uint8 inputs, and a Rescaling that makes of them what it expects",
        )


def image_border(view: View) -> Iterator[Finding]:
    """An offset of the image goes into a Conv2D; around 1 or 3 channels, zero is a pixel."""
    for block in view.blocks:
        value = border(view, block)
        if not value or block.head.op == "Dense":
            continue
        if block.head.op == "SeparableConv2D":
            found, allowed = f"an offset of the image before {block.head.op}", "before a Conv2D"
        elif block.head.attrs.get("padding") != "same":
            continue
        elif not reads_image(view, block):
            found = f"pads with {value:g}, as the image has an offset"
            allowed = f"on {' or '.join(map(str, INPUT_CHANNELS))} channels only"
        elif not 0 <= int(value) <= PIXEL:
            found = f"pads with {int(value)}, where the image's Rescaling gives 0"
            allowed = f"0 to {PIXEL}"
        else:
            continue
        yield Finding(
            layers=(block.name,),
            found=found,
            allowed=allowed,
            fix="use a Rescaling without offset, or padding 'valid'",
        )


def border(view: View, block) -> float:
    """Return the pixel that means zero to the first layer; 0 for the others."""
    if view.source(block.head).op != "Input":
        return 0.0
    registers = getattr(block.head, "registers", {})
    if "padding_value" in registers:
        return float(registers["padding_value"][0])
    scale, offset = 1.0, 0.0
    for node in view.nodes("Rescaling"):
        scale, offset = (float(np.ravel(node.attrs[key])[0]) for key in ("scale", "offset"))
    return -offset / scale if scale > 0 else 0.0


def one_scale(view: View) -> Iterator[Finding]:
    """A Rescaling has one positive scale and one offset for all channels."""
    for node in view.nodes("Rescaling"):
        values = {key: np.unique(node.attrs[key]) for key in ("scale", "offset")}
        if any(value.size > 1 for value in values.values()) or values["scale"][0] <= 0:
            yield Finding(
                layers=(node.name,),
                found=f"scale {node.attrs['scale']}, offset {node.attrs['offset']}",
                allowed="one positive scale, one offset",
                fix="scale the kernel of the first layer instead",
            )


def reshape(view: View) -> Iterator[Finding]:
    """A Flatten feeds a Dense layer or ends the model; a Reshape moves no pixel."""
    for node in view.nodes("Reshape", "Flatten"):
        before, after = view.input_shape(node), view.graph.shapes[node.name]
        flat = math.prod(after) == max(after) and all(
            reader.op == "Dense" for reader in view.readers(node)
        )
        if shape3d(before) != shape3d(after) and not flat:
            yield Finding(
                layers=(node.name,),
                found=f"{size(before)} to {size(after)}",
                allowed="Flatten before Dense, (N) to 1x1xN",
                fix="feed a Dense, or keep the shape",
            )


def normalize(graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph as the converter reorders it, with notes on what is left out."""
    cut, notes = cut_head(graph)
    return reduce(lambda before, change: change(before), PASSES_V1, cut), list(texts(notes))


def notes(view: View) -> Iterator[str]:
    """Yield what converts but is worth knowing."""
    if view.graph.input.attrs["dtype"] == "int8":
        yield f"{view.graph.input.name}: int8 inputs are read as uint8, so that none is below 0"
    unbounded = [node.name for node in view.nodes("ReLU") if node.attrs["max_value"] is None]
    if unbounded:
        yield (
            f"ReLU without max_value: {', '.join(unbounded[:5])}{' ...' * (len(unbounded) > 5)};"
            " cnn2snn takes 2^bits - 1 for the maximum, scheme quantizeml refuses it"
        )


RULES = (
    *(
        Rule(find, CONVERTER)
        for find in (
            pixels,
            sequential,
            supported_layer,
            activation_between,
            one_activation,
            pooling_behind_layer,
            average_pixels,
            one_scale,
            image_border,
            reshape,
            pool_padding,
            *SHARED,
        )
    ),
    Rule(pool_padding_name, CONVERTER, emulated=True),
)
