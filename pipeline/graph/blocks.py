"""Blocks of an architecture file: one entry expands to a layer and those that usually follow it.

The blocks, their options and the order and names of their layers follow the ``layer_blocks`` of
BrainChip's akida_models, so that an architecture written for it can be copied line by line.
``inverted_residual_block`` is MobileNetV2's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ModelError

POOLINGS = ("max", "global_avg")
OPTIONS = {
    "add_batchnorm": ("true, false", "Add batch normalization."),
    "batchnorm_momentum": ("a number, null", "Of its moving statistics; null is Keras' default."),
    "relu_activation": (
        "`ReLU`, `ReLU6`, `ReLU3.75`, ..., false",
        "Add a ReLU with this upper limit; false adds none.",
    ),
    "pooling": ("max, global_avg, null", "Add a pooling after the convolution."),
    "pool_size": ("two whole numbers", "Of max pooling."),
    "post_relu_gap": (
        "true, false",
        "Average after the ReLU, in the order of 2.0, instead of before it.",
    ),
    "fused": (
        "true, false",
        "One SeparableConv2D, as 1.0 runs it, instead of DepthwiseConv2D and Conv2D.",
    ),
    "residual": ("true, false", "Add the block's input to its output."),
    "expanded_filters": ("a whole number above 0, null", "Of the first 1x1 convolution, if any."),
}
"""Allowed values and meaning of the options that are not attributes of the block's operation."""
_RELU = re.compile(r"ReLU(\d+(?:\.\d+)?)?")
_TAIL = {"add_batchnorm": False, "relu_activation": "ReLU3.75"}
_POOL = {"pooling": None, "pool_size": (2, 2), "post_relu_gap": False}


@dataclass(frozen=True)
class Draft:
    """A layer whose inputs are not known yet: type, name and the given attributes.

    With `joins`, it reads the block's own input as well as the layer before.
    """

    op: str
    name: str
    attrs: Mapping[str, Any]
    joins: bool = False


@dataclass(frozen=True)
class Block:
    """The expansion of one kind of entry.

    Attributes
    ----------
    op : str
        Operation of the main layer; an unnamed block is named after it.
    expand : function of (name, options) to list of Draft
        A chain of layers.
    required : tuple of str
        Options without a default.
    options : mapping
        Other options and their defaults; None: Keras' default.
    text : str
        What the block is, for the page of documentation.
    """

    op: str
    expand: Callable[[str, dict], list[Draft]]
    required: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def drafts(self, name: str, given: Mapping[str, Any]) -> list[Draft]:
        """Return the layers of one block.

        Raises
        ------
        ModelError
            If an option is unknown or missing, or a value is not allowed.
        """
        allowed = (*self.required, *self.options)
        unknown = [key for key in given if key not in allowed]
        if unknown:
            raise ModelError(f"has no option '{unknown[0]}'; allowed: name, {', '.join(allowed)}")
        missing = [key for key in self.required if given.get(key) is None]
        if missing:
            raise ModelError(f"needs the option '{missing[0]}'")
        options = {**self.options, **given}
        _check(options)
        return self.expand(name, options)


def _check(options):
    for key in ("add_batchnorm", "post_relu_gap", "fused", "residual"):
        if not isinstance(options.get(key, False), bool):
            raise ModelError(f"{key} is {options[key]!r}; allowed: true, false")
    pooling = options.get("pooling")
    if pooling is not None and pooling not in POOLINGS:
        raise ModelError(f"pooling is {pooling!r}; allowed: {', '.join(POOLINGS)}, null")


def _relu(name, value) -> list[Draft]:
    if value is False or value is None:
        return []
    match = _RELU.fullmatch(value) if isinstance(value, str) else None
    limit = float(match[1]) if match and match[1] else None
    if match is None or limit == 0:
        raise ModelError(
            f"relu_activation is {value!r}; allowed: 'ReLU' (no upper limit), 'ReLU' and its upper"
            " limit such as 'ReLU6' or 'ReLU3.75', false"
        )
    return [Draft("ReLU", f"{name}/relu", {"max_value": limit})]


def _tail(name, options, padding) -> list[Draft]:
    """Return the layers after the neural one: pooling, batch norm, activation, global pooling."""
    pooling, late = options.get("pooling"), options.get("post_relu_gap")
    layers = []
    if pooling == "max":
        attrs = {"pool_size": options["pool_size"], "padding": padding}
        layers.append(Draft("MaxPooling2D", f"{name}/maxpool", attrs))
    average = [Draft("GlobalAveragePooling2D", f"{name}/global_avg", {})]
    if pooling == "global_avg" and not late:
        layers += average
    if options["add_batchnorm"]:
        momentum = options["batchnorm_momentum"]
        attrs = {} if momentum is None else {"momentum": momentum}
        layers.append(Draft("BatchNormalization", f"{name}/BN", attrs))
    layers += _relu(name, options["relu_activation"])
    if pooling == "global_avg" and late:
        layers += average
    return layers


def _given(options, *keys):
    return {key: options[key] for key in keys if options[key] is not None}


_WINDOW = ("kernel_size", "strides", "padding", "use_bias")


def _conv_block(name, options):
    attrs = _given(options, "filters", *_WINDOW)
    return [Draft("Conv2D", name, attrs), *_tail(name, options, options["padding"])]


def _separable_conv_block(name, options):
    attrs = _given(options, "filters", *_WINDOW)
    if options["fused"]:
        return [Draft("SeparableConv2D", name, attrs), *_tail(name, options, options["padding"])]
    depthwise = {**_given(options, "kernel_size", "strides", "padding"), "use_bias": False}
    pointwise = {
        "filters": options["filters"],
        "kernel_size": 1,
        "padding": "same",
        "use_bias": options["use_bias"],
    }
    return [
        Draft("DepthwiseConv2D", f"dw_{name}", depthwise),
        Draft("Conv2D", f"pw_{name}", pointwise),
        *_tail(f"pw_{name}", options, options["padding"]),
    ]


def _dense_block(name, options):
    return [Draft("Dense", name, _given(options, "units", "use_bias")), *_tail(name, options, None)]


def _inverted_residual_block(name, options):
    def normalised(op, part, attrs, *tail):
        momentum = options["batchnorm_momentum"]
        batchnorm = {} if momentum is None else {"momentum": momentum}
        part = f"{name}/{part}"
        attrs = {**attrs, "padding": "same", "use_bias": False}
        return [Draft(op, part, attrs), Draft("BatchNormalization", f"{part}/BN", batchnorm), *tail]

    def active(part):
        return _relu(f"{name}/{part}", options["relu_activation"])

    expanded, layers = options["expanded_filters"], []
    if expanded is not None:
        attrs = {"filters": expanded, "kernel_size": 1}
        layers += normalised("Conv2D", "expand", attrs, *active("expand"))
    window = _given(options, "kernel_size", "strides")
    layers += normalised("DepthwiseConv2D", "depthwise", window, *active("depthwise"))
    attrs = {"filters": options["filters"], "kernel_size": 1}
    layers += normalised("Conv2D", "project", attrs)
    if options["residual"]:
        layers.append(Draft("Add", f"{name}/add", {}, joins=True))
    return layers


_COMMON = {"use_bias": True, **_TAIL, "batchnorm_momentum": None}
_CONV = {"strides": 1, "padding": "valid", **_COMMON, **_POOL}

BLOCKS: dict[str, Block] = {
    "conv_block": Block(
        "Conv2D",
        _conv_block,
        ("filters", "kernel_size"),
        _CONV,
        "A convolution, and what usually follows it.",
    ),
    "separable_conv_block": Block(
        "SeparableConv2D",
        _separable_conv_block,
        ("filters", "kernel_size"),
        {**_CONV, "padding": "same", "fused": True},
        "A separable convolution, in one layer or in two, and what usually follows it.",
    ),
    "inverted_residual_block": Block(
        "DepthwiseConv2D",
        _inverted_residual_block,
        ("filters",),
        {
            "expanded_filters": None,
            "kernel_size": 3,
            "strides": 1,
            "residual": False,
            "relu_activation": "ReLU6",
            "batchnorm_momentum": None,
        },
        "MobileNetV2's block: 1x1, depthwise and 1x1 convolution, each with batch normalization.",
    ),
    "dense_block": Block(
        "Dense",
        _dense_block,
        ("units",),
        _COMMON,
        "A fully connected layer, and what usually follows it.",
    ),
}
