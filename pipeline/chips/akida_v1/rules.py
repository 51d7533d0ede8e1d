"""Rules of Akida 1.0's converter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce

import numpy as np

from pipeline.chips.akida_v1.layers import PIXEL, reads_image
from pipeline.chips.akida_v1.width_rules import activation_bits, separable_bits
from pipeline.chips.blocks import QUANTIZERS, View, shape3d, size
from pipeline.chips.rule import Finding, Rule
from pipeline.chips.shared_rules import CONVERTER, SHARED, pool_padding, pool_padding_name
from pipeline.graph.graph import Graph
from pipeline.messages.notes import texts
from pipeline.messages.settings import setting
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
OTHER_RULES = (
    *QUANTIZERS,
    "QuantizedReLU",
    "BatchNormalization",
    "AveragePooling2D",
    "ZeroPadding2D",
    "Add",
    "Concatenate",
    "Outputs",
)
"""Operations that another rule refuses."""
POOLINGS = ("MaxPooling2D", "GlobalAveragePooling2D")
LARGEST_SUM = 256
"""Pixels of a global average: its sum of potentials must fit the chip's width."""
SUPPORTED = "Conv2D, SeparableConv2D, Dense, ReLU, MaxPooling2D, GlobalAveragePooling2D"


def sequential(view: View) -> Iterator[Finding]:
    """A model is one chain: every layer has one input and one consumer."""
    for node in view.graph.nodes:
        consumers = view.graph.consumers(node)
        if len(consumers) > 1:
            yield Finding(
                layers=(node.name,),
                found=f"{len(consumers)} consumers: {', '.join(r.name for r in consumers[:4])}",
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
        if node.op in (*KNOWN, *OTHER_RULES):
            continue
        pair = _pointwise_consumer(view, node)
        found = node.attrs["activation"] if node.op == "Activation" else node.op
        yield Finding(
            layers=(node.name,),
            found=found,
            allowed=SUPPORTED,
            fix=f"fuse it with {pair.name}" if pair else "use ReLU and such layers, and retrain",
            transform="fuse_separable" if pair else None,
        )


def _pointwise_consumer(view, node):
    if node.op != "DepthwiseConv2D":
        return None
    consumer = view.graph.sole_consumer(node)
    pointwise = consumer is not None and consumer.op == "Conv2D"
    return consumer if pointwise and consumer.attrs["kernel_size"] == (1, 1) else None


def activation_between(view: View) -> Iterator[Finding]:
    """Every two consecutive neural layers have a ReLU between them."""
    for block in view.blocks:
        if block.head.op not in (*NEURAL, "DepthwiseConv2D") or "ReLU" in block.ops:
            continue
        fused = block.head.op == "DepthwiseConv2D" and _pointwise_consumer(view, block.head)
        consumers = [node for node in _sum_consumers(view, block.head) if node.op in NEURAL]
        if fused or not consumers:
            continue
        yield Finding(
            layers=(block.name,),
            found=f"no ReLU before {consumers[0].name}",
            allowed="a ReLU between them",
            fix="add a ReLU and retrain",
        )


def _sum_consumers(view: View, node) -> Iterator:
    """Yield the consumers of a layer's sums, looking through pooling."""
    for consumer in view.consumers(node):
        if consumer.op in POOLINGS:
            yield from _sum_consumers(view, consumer)
        else:
            yield consumer


def one_activation(view: View) -> Iterator[Finding]:
    """At most one ReLU follows a neural layer or its pooling."""
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
    """Inputs are 8-bit pixels; a float32 input is read as pixels if a Rescaling follows."""
    node = view.graph.input
    dtype, consumers = str(node.attrs["dtype"]), view.graph.consumers(node)
    scaled = bool(consumers) and all(consumer.op == "Rescaling" for consumer in consumers)
    if dtype not in ("uint8", "int8") and not (dtype == "float32" and scaled):
        yield Finding(
            layers=(node.name,),
            found=f"{dtype} inputs of unknown scale" if dtype == "float32" else f"{dtype} inputs",
            allowed="uint8 pixels, 0 to 255",
            fix="give the model uint8 inputs and a Rescaling to the range that it expects, or use"
            f" {setting('model.input_dtype', 'uint8')} if it takes pixels as they are",
        )


def image_border(view: View) -> Iterator[Finding]:
    """An image offset needs a Conv2D; padding then needs 1 or 3 channels and a pixel value."""
    for block in view.blocks:
        value = zero_pixel(view, block)
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


def zero_pixel(view: View, block) -> float:
    """Return the pixel value that is zero to the first layer; 0 for other layers."""
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
            consumer.op == "Dense" for consumer in view.consumers(node)
        )
        if shape3d(before) != shape3d(after) and not flat:
            yield Finding(
                layers=(node.name,),
                found=f"{size(before)} to {size(after)}",
                allowed="Flatten before Dense, (N) to 1x1xN",
                fix="feed a Dense, or keep the shape",
            )


def normalize(graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph as the converter reorders it, and notes on what it drops."""
    cut, notes = cut_head(graph)
    return reduce(lambda before, change: change(before), PASSES_V1, cut), list(texts(notes))


def notes(view: View) -> Iterator[str]:
    """Yield remarks on a model that converts."""
    if view.graph.input.attrs["dtype"] == "int8":
        yield f"{view.graph.input.name}: int8 inputs are read as uint8, so none is negative"
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
            activation_bits,
            separable_bits,
            *SHARED,
        )
    ),
    Rule(pool_padding_name, CONVERTER, emulated=True),
)
