"""What Akida 2.0's converter asks of a float model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from pipeline.compatibility.blocks import WINDOWS, View, size
from pipeline.compatibility.edge_learning import edge_learning
from pipeline.compatibility.limits_v2 import LIMITS
from pipeline.compatibility.patterns_v2 import MEAN, POOL, RELU, TABLE, TAILS
from pipeline.compatibility.rule import Chip, Finding, Rule
from pipeline.compatibility.shared_rules import CONVERTER, SHARED
from pipeline.graph.graph import Graph
from pipeline.messages.notes import texts
from pipeline.preparation import PASSES
from pipeline.preparation.head import cut_head
from pipeline.preparation.support import TABLES, unsupported

PATTERNS = "cnn2snn 2.19 (Apache-2.0), layer patterns for Akida 2.0"
QUANTIZER = "QuantizeML 1.2 (Apache-2.0), supported layers"
TRANSPOSED = ("Conv2DTranspose", "DepthwiseConv2DTranspose")
UNKNOWN = ("UpSampling2D", "Permute", "Softmax", "PReLU", "LeakyReLU")


def fused_separable(view: View) -> Iterator[Finding]:
    """There is no fused separable convolution."""
    for node in view.nodes("SeparableConv2D"):
        yield Finding(
            layer=node.name,
            found="SeparableConv2D",
            allowed="DepthwiseConv2D and 1x1 Conv2D",
            fix="split it in two",
            transform="unfuse_separable",
        )


def pooling_before_activation(view: View) -> Iterator[Finding]:
    """Global average pooling stands behind the activation, where there is one."""
    for node in view.nodes(MEAN):
        for reader in view.readers(node):
            if reader.op in (RELU, TABLE):
                yield Finding(
                    layer=node.name,
                    found=f"before {reader.name}",
                    allowed="behind the activation",
                    fix="put an identity layer between them, or move it and tune the model",
                    transform="gap_after_relu",
                )


def layer_pattern(view: View) -> Iterator[Finding]:
    """A layer is followed by what one Akida 2.0 layer absorbs: pooling, activation, average."""
    for block in view.blocks:
        ops, allowed = block.ops, TAILS.get(block.head.op)
        if allowed is None:
            continue
        end = ops.index(MEAN) + 1 if MEAN in ops else len(ops)
        if ops[end : end + 1] in ((RELU,), (TABLE,)):
            ops = ops[:end]  # an activation behind an average has a rule of its own
        if ops in allowed:
            continue
        detachable = ops[-1:] == (MEAN,) and ops[:-1] in allowed
        yield Finding(
            layer=block.tail[len(ops) - 1].name,
            found=" > ".join((block.head.op, *ops)),
            allowed="; ".join(" > ".join((block.head.op, *tail)) for tail in allowed),
            fix="put a 1x1 Conv2D before the average" if detachable else "reorder and retrain",
            transform="identity_before_pooling" if detachable else None,
        )


def orphan_tail(view: View) -> Iterator[Finding]:
    """Pooling and activations follow a neural layer that nothing else reads."""
    for node in view.nodes(POOL, RELU, TABLE, MEAN):
        owner = view.owner(node)
        if owner is None or node not in owner.tail:
            readers = "" if owner is None else f" of {owner.name}"
            yield Finding(
                layer=node.name,
                found="on the model's input" if owner is None else f"on a shared output{readers}",
                allowed="right behind a convolution or Dense",
                fix="put a 1x1 Conv2D before it",
                transform="identity_before_pooling" if node.op == MEAN else None,
            )


def square_kernel(view: View) -> Iterator[Finding]:
    """Kernels are square."""
    for node in view.nodes(*WINDOWS, *TRANSPOSED):
        if len(set(node.attrs["kernel_size"])) > 1:
            yield Finding(
                layer=node.name,
                found=f"kernel {size(node.attrs['kernel_size'])}",
                allowed="square",
                fix="extend it with zeros",
                transform="square_windows",
            )


def square_stride(view: View) -> Iterator[Finding]:
    """Strides are the same in both directions."""
    for node in view.nodes(*WINDOWS, *TRANSPOSED):
        if len(set(node.attrs["strides"])) > 1:
            yield Finding(
                layer=node.name,
                found=f"stride {size(node.attrs['strides'])}",
                allowed="square",
                fix="use equal strides and retrain",
                transform="square_windows",
            )


def square_pool(view: View) -> Iterator[Finding]:
    """Max pooling windows and their strides are square."""
    for node in view.nodes(POOL):
        pool, strides = node.attrs["pool_size"], node.attrs["strides"] or node.attrs["pool_size"]
        if len(set(pool)) > 1 or len(set(strides)) > 1:
            yield Finding(
                layer=node.name,
                found=f"{size(pool)} stride {size(strides)}",
                allowed="square",
                fix="use square pooling and retrain",
                transform="square_windows",
            )


def transposed_convolution(view: View) -> Iterator[Finding]:
    """Transposed convolutions are 3x3 or 4x4, of stride 2, with padding 'same'."""
    for node in view.nodes(*TRANSPOSED):
        kernel, strides = node.attrs["kernel_size"], node.attrs["strides"]
        good = kernel in ((3, 3), (4, 4)) and strides == (2, 2)
        if not good or node.attrs["padding"] != "same":
            yield Finding(
                layer=node.name,
                found=f"kernel {size(kernel)}, stride {size(strides)}, '{node.attrs['padding']}'",
                allowed="kernel 3 or 4, stride 2, 'same'",
                fix="use such a kernel and retrain",
            )


def table_activation(view: View) -> Iterator[Finding]:
    """Activations inside the model are ReLU, or one of the functions that fit a look-up table."""
    for node in view.nodes(TABLE):
        if node.attrs["activation"] not in TABLES:
            yield Finding(
                layer=node.name,
                found=node.attrs["activation"],
                allowed=f"relu, {', '.join(TABLES)}",
                fix="use one of them and retrain",
            )


def unknown_layer(view: View) -> Iterator[Finding]:
    """Every layer inside the model has a counterpart on the chip."""
    for node in view.nodes(*UNKNOWN):
        cure = "Conv2DTranspose of stride 2" if node.op == "UpSampling2D" else "another layer"
        yield Finding(
            layer=node.name,
            found=node.op,
            allowed="a layer with a counterpart",
            fix=f"use {cure} and retrain",
        )


def join(view: View) -> Iterator[Finding]:
    """Add and Concatenate join two tensors, the latter along their channels."""
    for node in view.nodes("Add", "Concatenate"):
        rank = len(view.graph.shapes[node.name])
        sideways = node.op == "Concatenate" and node.attrs["axis"] not in (-1, rank)
        if len(node.inputs) != 2 or sideways:
            yield Finding(
                layer=node.name,
                found=f"{len(node.inputs)} inputs"
                + (f" along axis {node.attrs['axis']}" if sideways else ""),
                allowed="2 inputs, along the channels",
                fix="join in pairs along the channels and retrain",
            )


def reshape(view: View) -> Iterator[Finding]:
    """A Reshape or Flatten feeds a Dense layer, or moves no pixel."""
    shapes = view.graph.shapes
    for node in view.nodes("Reshape", "Flatten"):
        before, after = (
            [n for n in shape if n != 1] for shape in (view.input_shape(node), shapes[node.name])
        )
        readers = list(view.readers(node))
        others = [reader.name for reader in readers if reader.op != "Dense"]
        if before != after and (others or not readers):
            reader = f"read by {others[0]}" if others else "at the end"
            yield Finding(
                layer=node.name,
                found=f"{size(view.input_shape(node))} to {size(shapes[node.name])}, {reader}",
                allowed="before Dense",
                fix="feed a Dense, or keep the shape",
            )


def first_depthwise(view: View) -> Iterator[Finding]:
    """A depthwise convolution does not read a Rescaling."""
    for node in view.nodes("DepthwiseConv2D", "DepthwiseConv2DTranspose"):
        source = view.graph.node(node.inputs[0])
        if source.op == "Rescaling":
            yield Finding(
                layer=node.name,
                found=f"behind {source.name}",
                allowed="a Conv2D or Dense",
                fix="start the model with a Conv2D",
            )


def quantizable(view: View) -> Iterator[Finding]:
    """Every layer can become integers."""
    known = {finding.layer for rule in _RULES for finding in rule.find(view)}
    for line in unsupported(view.graph):
        layer, reason = line.split(": ", 1)
        if layer not in known:
            found, *rest = reason.split("; ")
            allowed = next((part[9:] for part in rest if part.startswith("allowed: ")), "another")
            yield Finding(layer=layer, found=found, allowed=allowed, fix=(rest or ["retrain"])[-1])


def normalise(graph: Graph) -> tuple[Graph, list[str]]:
    """Return the graph as quantization prepares it, with notes on what is left out."""
    cut, notes = cut_head(graph)
    return reduce(lambda before, change: change(before), PASSES, cut), list(texts(notes))


def notes(view: View) -> Iterator[str]:
    """Say what converts but is worth knowing."""
    inner = [block for block in view.blocks if view.graph.consumers(block.head)]
    linear = [
        block.name
        for block in inner
        if block.head.op == "Conv2D"
        and not set(block.ops) & {RELU, TABLE}
        and block.name in view.original.by_name
        and block.name != view.graph.output
    ]
    if linear:
        yield (
            f"no activation behind {', '.join(linear[:5])}{' ...' * (len(linear) > 5)}: outputs"
            " are signed, which Akida 2.0 allows (Akida 1.0 does not)"
        )
    for node in view.graph.nodes:
        old = view.original.by_name.get(node.name)
        if old is not None and old.attrs.get("kernel_size") != node.attrs.get("kernel_size"):
            yield (
                f"{node.name}: its kernel {size(old.attrs['kernel_size'])} becomes"
                f" {size(node.attrs['kernel_size'])} with zeros when it is quantized"
            )


_PATTERN_RULES = (
    fused_separable,
    pooling_before_activation,
    layer_pattern,
    orphan_tail,
    square_kernel,
    square_stride,
    square_pool,
    transposed_convolution,
)
_QUANTIZER_RULES = (table_activation, unknown_layer, join, reshape, first_depthwise)
_RULES = (
    *(Rule(find, PATTERNS) for find in _PATTERN_RULES),
    *(Rule(find, QUANTIZER) for find in _QUANTIZER_RULES),
    *(Rule(find, CONVERTER) for find in SHARED),
    Rule(edge_learning, "BrainChip documentation, Akida 2.0: no edge learning"),
)
CHIP = Chip(
    name="akida_v2",
    normalise=normalise,
    rules=(*_RULES, Rule(quantizable, QUANTIZER), *LIMITS),
    transforms=(
        "continuous_activations",
        "replace_average_pooling",
        "dense_on_map",
        "expand_dilation",
        "expand_groups",
        "unfuse_separable",
        "square_windows",
        "match_pool_padding",
        "fold_batchnorm_forward",
        "batchnorm_to_depthwise",
        "gap_after_relu",
        "identity_before_pooling",
    ),
    notes=notes,
)
