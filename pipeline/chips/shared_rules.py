"""Rules that the converters of both chips share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.chips.blocks import View, padding_differs, size
from pipeline.chips.rule import Finding
from pipeline.graph.traits import NEURAL
from pipeline.preparation.batchnorm import batchnorm_obstacle
from pipeline.preparation.zero_padding import padding_obstacle

CONVERTER = "cnn2snn 2.19 (Apache-2.0), conversion of Keras models"
WINDOWED = (
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Conv2DTranspose",
    "DepthwiseConv2DTranspose",
)


def discrete_activation(view: View) -> Iterator[Finding]:
    """Activations are not discrete: migrate a model quantized by cnn2snn to a float model first."""
    for node in view.original.nodes:
        if node.op == "QuantizedReLU":
            bits = node.attrs["bits"]
            yield Finding(
                layers=(node.name,),
                found=f"{bits}-bit activation up to {node.attrs['max_value']:g}",
                allowed="ReLU",
                fix="replace it by a steep ReLU" if bits == 1 else "replace it by a ReLU",
                transform="continuous_activations",
            )


def dilation(view: View) -> Iterator[Finding]:
    """Convolutions have no dilation."""
    for node in view.nodes(*WINDOWED):
        if node.attrs["dilation_rate"] != (1, 1):
            yield Finding(
                layers=(node.name,),
                found=f"dilation {size(node.attrs['dilation_rate'])}",
                allowed="1x1",
                fix="use a larger kernel with zeros between its taps",
                transform="expand_dilation",
            )


def groups(view: View) -> Iterator[Finding]:
    """Convolutions have no groups and no depth multiplier."""
    for node in view.nodes(*WINDOWED):
        for key in ("groups", "depth_multiplier"):
            if node.attrs.get(key, 1) != 1:
                yield Finding(
                    layers=(node.name,),
                    found=f"{key} {node.attrs[key]}",
                    allowed="1",
                    fix="use a full convolution whose other weights are zero",
                    transform="expand_groups",
                )


def pool_padding(view: View) -> Iterator[Finding]:
    """A max pooling pads as the convolution before it does."""
    for block in view.blocks:
        if padding_differs(block):
            yield _padding(block, block.head.attrs["padding"])


def pool_padding_name(view: View) -> Iterator[Finding]:
    """A max pooling has the padding of its convolution, even where both are equivalent."""
    for block in view.blocks:
        pool, padding = block.member("MaxPooling2D"), block.head.attrs.get("padding")
        if pool is None or padding is None or padding_differs(block):
            continue
        if block.head.attrs["kernel_size"] == (1, 1):
            padding = "same"  # the converter gives every 1x1 convolution this padding
        if pool.attrs["padding"] != padding:
            yield _padding(block, padding)


def _padding(block, padding: str) -> Finding:
    pool = block.member("MaxPooling2D")
    return Finding(
        layers=(pool.name,),
        found=f"padding '{pool.attrs['padding']}' after {block.name}, '{padding}'",
        allowed=f"'{padding}'",
        fix=f"use padding '{padding}', on maps that the pooling divides",
        transform="match_pool_padding",
    )


def flat_dense(view: View) -> Iterator[Finding]:
    """A Dense layer reads one vector, not a map."""
    for node in view.nodes("Dense"):
        shape = view.input_shape(node)
        if np.prod(shape) != shape[-1]:
            yield Finding(
                layers=(node.name,),
                found=f"input {size(shape)}",
                allowed="(N) or 1x1xN",
                fix="put a Flatten before it, or use a 1x1 Conv2D",
                transform="dense_on_map",
            )


def batchnorm_position(view: View) -> Iterator[Finding]:
    """A BatchNormalization folds into the layer before it, or into that layer's pooling."""
    for node in view.nodes("BatchNormalization"):
        yield Finding(
            layers=(node.name,),
            **batchnorm_obstacle(view.graph, node)._asdict(),
            transform="fold_batchnorm_forward",
        )


def neural_layer(view: View) -> Iterator[Finding]:
    """A model has a neural layer."""
    if not any(view.nodes(*NEURAL)):
        yield Finding(
            layers=(view.last.name,),
            found="no layer with a kernel",
            allowed="a convolution or Dense",
            fix="add one and train it",
        )


def rescaling_position(view: View) -> Iterator[Finding]:
    """A Rescaling directly follows the input."""
    for node in view.nodes("Rescaling"):
        if view.graph.node(node.inputs[0]).op not in ("Input", "Quantizer"):
            yield Finding(
                layers=(node.name,),
                found=f"after {node.inputs[0]}",
                allowed=f"after {view.graph.input.name}",
                fix="scale the kernel of the next layer instead",
            )


def zero_padding(view: View) -> Iterator[Finding]:
    """A ZeroPadding2D is the "same" padding of the convolution or max pooling after it."""
    for node in view.nodes("ZeroPadding2D"):
        yield Finding(
            layers=(node.name,),
            **padding_obstacle(view.graph, node)._asdict(),
        )


def average_pooling(view: View) -> Iterator[Finding]:
    """Averages are only taken over the whole map, by GlobalAveragePooling2D."""
    for node in view.nodes("AveragePooling2D"):
        yield Finding(
            layers=(node.name,),
            found=f"pool {size(node.attrs['pool_size'])} on a map of"
            f" {size(view.input_shape(node)[:2])}",
            allowed="GlobalAveragePooling2D",
            fix="average globally, or use a convolution with equal weights",
            transform="replace_average_pooling",
        )


def relu_shape(view: View) -> Iterator[Finding]:
    """A ReLU has no threshold, and no negative slope together with a maximum."""
    for node in view.nodes("ReLU"):
        for key in ("negative_slope", "threshold"):
            if node.attrs.get(key):
                yield Finding(
                    layers=(node.name,),
                    found=f"{key} {node.attrs[key]:g}",
                    allowed="0",
                    fix="use a plain ReLU and retrain",
                )


SHARED = (
    discrete_activation,
    neural_layer,
    dilation,
    groups,
    flat_dense,
    batchnorm_position,
    rescaling_position,
    zero_padding,
    average_pooling,
    relu_shape,
)
