"""What Akida 1.0's converter asks of a float model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np

from pipeline.compatibility.blocks import IMAGE_CHANNELS, View, size
from pipeline.compatibility.limits_v1 import LIMITS
from pipeline.compatibility.rule import Chip, Finding, Rule
from pipeline.compatibility.shared_rules import CONVERTER, SHARED
from pipeline.graph.graph import Graph
from pipeline.messages.notes import texts
from pipeline.preparation.activations import split_activations
from pipeline.preparation.batchnorm import fold_batchnorm
from pipeline.preparation.dropout import remove_dropout
from pipeline.preparation.head import cut_head
from pipeline.preparation.pooling_order import batchnorm_before_pool, max_pool_before_activation
from pipeline.preparation.reshapes import remove_reshapes

PASSES = (
    split_activations,
    remove_dropout,
    remove_reshapes,
    max_pool_before_activation,
    batchnorm_before_pool,
    fold_batchnorm,
)
"""What the converter does by itself before it cuts a model into layers."""
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
ELSEWHERE = ("BatchNormalization", "AveragePooling2D", "ZeroPadding2D", "Add", "Concatenate")
"""Operations whose refusal has a rule of its own."""
SUPPORTED = "Conv2D, SeparableConv2D, Dense, ReLU, MaxPooling2D, GlobalAveragePooling2D"


def sequential(view: View) -> Iterator[Finding]:
    """A model is one chain: every layer has one input and one reader."""
    for node in view.graph.nodes:
        readers = view.graph.consumers(node)
        if len(readers) > 1:
            yield Finding(
                layer=node.name,
                found=f"{len(readers)} readers: {', '.join(r.name for r in readers[:4])}",
                allowed="1",
                fix="use a model without branches, or Akida 2.0",
            )
        if len(node.inputs) > 1:
            yield Finding(
                layer=node.name,
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
            layer=node.name,
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
    """A ReLU stands between any two neural layers."""
    for block in view.blocks:
        if block.head.op not in (*NEURAL, "DepthwiseConv2D") or "ReLU" in block.ops:
            continue
        last = block.tail[-1] if block.tail else block.head
        readers = [node for node in view.readers(last) if node.op in NEURAL]
        if not readers or (
            block.head.op == "DepthwiseConv2D" and _pointwise_reader(view, block.head)
        ):
            continue
        yield Finding(
            layer=block.name,
            found=f"no ReLU before {readers[0].name}",
            allowed="a ReLU between them",
            fix="add a ReLU and retrain",
        )


def one_activation(view: View) -> Iterator[Finding]:
    """A ReLU follows a neural layer or its pooling, once."""
    for node in view.nodes("ReLU"):
        owner = view.owner(node)
        if owner is None or node not in owner.tail:
            yield Finding(
                layer=node.name,
                found="on the model's input" if owner is None else "on a shared output",
                allowed="behind a neural layer",
                fix="remove it, or put a convolution before it",
            )
        elif owner.ops[: owner.tail.index(node)].count("ReLU"):
            yield Finding(
                layer=node.name,
                found=f"a second ReLU behind {owner.name}",
                allowed="one",
                fix="remove one of them",
            )


def pooling_behind_layer(view: View) -> Iterator[Finding]:
    """Pooling stands directly behind a convolution, before its activation."""
    for node in view.nodes("GlobalAveragePooling2D", "MaxPooling2D"):
        owner = view.owner(node)
        inside = owner is not None and node in owner.tail and owner.head.op in NEURAL[:2]
        before = owner.ops[: owner.tail.index(node)] if inside else ()
        if inside and not before:
            continue
        average = node.op == "GlobalAveragePooling2D"
        what = view.graph.node(node.inputs[0])
        yield Finding(
            layer=node.name,
            found=f"behind {what.name} ({what.op})",
            allowed="behind a convolution",
            fix="put an identity 1x1 Conv2D before it" if average else "reorder and retrain",
            transform="gap_before_activation" if average else None,
        )


def image_input(view: View) -> Iterator[Finding]:
    """An image of 1 or 3 channels goes into a Conv2D."""
    shape = view.graph.shapes[view.graph.input.name]
    if len(shape) != 3 or shape[-1] not in IMAGE_CHANNELS:
        return
    for reader in view.readers(view.graph.input):
        if reader.op in ("SeparableConv2D", "Dense"):
            yield Finding(
                layer=reader.name,
                found=f"{reader.op} on an image of {size(shape)}",
                allowed="Conv2D",
                fix="put a Conv2D with ReLU first and retrain",
            )


def one_scale(view: View) -> Iterator[Finding]:
    """A Rescaling has one positive scale and one offset for all channels."""
    for node in view.nodes("Rescaling"):
        values = {key: np.unique(node.attrs[key]) for key in ("scale", "offset")}
        if any(value.size > 1 for value in values.values()) or values["scale"][0] <= 0:
            yield Finding(
                layer=node.name,
                found=f"scale {node.attrs['scale']}, offset {node.attrs['offset']}",
                allowed="one positive scale, one offset",
                fix="scale the kernel of the first layer instead",
            )


def reshape(view: View) -> Iterator[Finding]:
    """A Flatten feeds a Dense layer or ends the model; a Reshape moves no pixel."""
    shapes = view.graph.shapes
    for node in view.nodes("Reshape", "Flatten"):
        before, after = (
            [n for n in shape if n != 1] for shape in (view.input_shape(node), shapes[node.name])
        )
        readers = list(view.readers(node))
        flat = len(after) <= 1 and all(reader.op == "Dense" for reader in readers)
        if before != after and not flat:
            yield Finding(
                layer=node.name,
                found=f"{size(view.input_shape(node))} to {size(shapes[node.name])}",
                allowed="Flatten before Dense, (N) to 1x1xN",
                fix="feed a Dense, or keep the shape",
            )


def normalise(graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph as the converter reorders it, with notes on what is left out."""
    cut, notes = cut_head(graph)
    return reduce(lambda before, change: change(before), PASSES, cut), list(texts(notes))


def notes(view: View) -> Iterator[str]:
    """Say what converts but is worth knowing."""
    unbounded = [node.name for node in view.nodes("ReLU") if node.attrs["max_value"] is None]
    if unbounded:
        yield (
            f"ReLU without max_value: {', '.join(unbounded[:5])}{' ...' * (len(unbounded) > 5)};"
            " cnn2snn takes 2^bits - 1 for the maximum, scheme quantizeml refuses it"
        )


CHIP = Chip(
    name="akida_v1",
    normalise=normalise,
    rules=(
        *(
            Rule(find, CONVERTER)
            for find in (
                sequential,
                supported_layer,
                activation_between,
                one_activation,
                pooling_behind_layer,
                image_input,
                one_scale,
                reshape,
                *SHARED,
            )
        ),
        *LIMITS,
    ),
    transforms=(
        "continuous_activations",
        "replace_average_pooling",
        "dense_on_map",
        "expand_dilation",
        "fuse_separable",
        "expand_groups",
        "enlarge_even_kernels",
        "match_pool_padding",
        "fold_batchnorm_forward",
        "gap_before_activation",
    ),
    notes=notes,
)
