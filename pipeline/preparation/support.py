"""Refusals of layers that cannot be quantized for Akida 2.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.batchnorm import batchnorm_obstacle
from pipeline.preparation.rescaling import TARGETS as RESCALED
from pipeline.preparation.rescaling import is_aligned
from pipeline.preparation.zero_padding import padding_obstacle
from simulator.refusal import Refusal

Obstacles = Iterator[tuple[str, str, str]]
"""Phrases: what was found, what is allowed, what to do."""
FindObstacles = Callable[[Graph, Node], Obstacles]
ZERO_POINT_OPS = ("Conv2D", "Dense", "BufferTempConv")
"""Operations whose bias can absorb the zero point of unsigned float inputs."""
TABLES = ("gelu", "swish", "hard_silu", "leaky_relu")


def unsupported(graph: Graph) -> list[Refusal]:
    """Return a refusal for every layer of a prepared graph that cannot be quantized."""
    return [
        Refusal(layers=(node.name,), found=found, allowed=allowed, fix=fix)
        for node in graph.nodes
        if node.op in RULES
        for found, allowed, fix in RULES[node.op](graph, node)
    ]


def _only(key, allowed, fix) -> FindObstacles:
    def rule(graph, node):
        if node.attrs[key] != allowed:
            yield f"{node.op} has {key} {node.attrs[key]}", str(allowed), fix

    return rule


def _never(fix) -> FindObstacles:
    def rule(graph, node):
        yield f"{node.op} has no counterpart", "", fix

    return rule


def _all(*rules) -> FindObstacles:
    def rule(graph, node):
        for each in rules:
            yield from each(graph, node)

    return rule


def _activation(graph, node):
    kind = node.attrs["activation"]
    if kind not in TABLES:
        yield (
            f"activation '{kind}' inside the model has no counterpart",
            f"relu, {', '.join(TABLES)} (softmax and sigmoid may end a model)",
            "replace it and retrain",
        )


def _relu(graph, node):
    for key in ("negative_slope", "threshold"):
        if node.attrs[key]:
            yield (
                f"ReLU has {key} {node.attrs[key]:g}",
                "0 (a slope without max_value and threshold becomes a leaky ReLU)",
                "use a plain ReLU and retrain",
            )


def _batchnorm(graph, node):
    found, allowed, fix = batchnorm_obstacle(graph, node)
    yield f"BatchNormalization {found}", allowed, fix


def _rescaling(graph, node):
    consumers = graph.consumers(node)
    if node.inputs[0] != graph.input.name:
        yield (
            f"Rescaling follows {node.inputs[0]}",
            "directly after the input",
            "scale the next layer's kernel instead",
        )
    elif not is_aligned(node):
        found = ", ".join(f"{consumer.name} ({consumer.op})" for consumer in consumers) or "nothing"
        yield (
            f"Rescaling with an offset, a scale per channel or none above 0 before {found}",
            f"before one {' or '.join(RESCALED)} (no offset before the buffered ones)",
            "rescale by one positive factor without an offset",
        )


def _zero_padding(graph, node):
    found, allowed, fix = padding_obstacle(graph, node)
    yield f"ZeroPadding2D: {found}", allowed, fix


def _join(graph, node):
    if len(node.inputs) != 2:
        yield f"{node.op} averages {len(node.inputs)} inputs", "2", "average in pairs"
    if node.op == "Concatenate" and node.attrs["axis"] not in (-1, len(graph.shapes[node.name])):
        yield f"Concatenate joins axis {node.attrs['axis']}", "the last (channels)", "join channels"


_GROUPS = _only("groups", 1, "use a DepthwiseConv2D and a 1x1 Conv2D, or a full convolution")
_DILATION = _only("dilation_rate", (1, 1), "use a larger kernel (5 or 7)")
_MULTIPLIER = _only("depth_multiplier", 1, "add a 1x1 Conv2D for more channels")

RULES: dict[str, FindObstacles] = {
    "Conv2D": _all(_GROUPS, _DILATION),
    "DepthwiseConv2D": _all(_MULTIPLIER, _DILATION),
    "SeparableConv2D": _all(_MULTIPLIER, _DILATION),
    "Conv2DTranspose": _DILATION,
    "DepthwiseConv2DTranspose": _all(
        _only("strides", (2, 2), "use stride 2"), _only("padding", "same", "use 'same'"), _DILATION
    ),
    "Softmax": _never("a softmax may only end the model; remove it and retrain"),
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _never("use a ReLU"),
    "PReLU": _never("only a PReLU whose slopes are all equal has one; use LeakyReLU and retrain"),
    "BatchNormalization": _batchnorm,
    "Rescaling": _rescaling,
    "ZeroPadding2D": _zero_padding,
    "AveragePooling2D": _never(
        "use MaxPooling2D, GlobalAveragePooling2D or a convolution of stride 2, and retrain"
    ),
    "UpSampling2D": _never("use Conv2DTranspose or DepthwiseConv2DTranspose of stride 2"),
    "Add": _join,
    "Concatenate": _join,
}
"""Functions by operation, of (graph, node), that yield refusals; other operations are supported."""
