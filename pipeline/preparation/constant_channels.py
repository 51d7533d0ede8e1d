"""Move constants of channels with gamma 0 into the biases of their consumers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.graph.forward import run_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.operations.normalization import batchnorm_factors
from pipeline.graph.traits import ACTIVATIONS, CONVOLUTIONS, NEURAL
from pipeline.preparation.editing import pairs, replaced
from simulator.windows import same_padding

LARGEST_CONSTANT = 0.05
"""Largest constant output of a filter of zeros that integers can represent.

A kernel of zeros has the smallest possible scale, 1e-6; with up to 8 fractional bits of the input
and an output scale of 8 bits, a larger constant overflows the 32 bits before the output shift.
"""


def fold_constant_channels(graph: Graph) -> Graph:
    """Set constant channels to 0, and add their contribution to the biases of their consumers.

    A BatchNormalization with gamma 0 outputs its beta everywhere. Where beta is too large for a
    filter of zeros (`LARGEST_CONSTANT`), it is set to 0, and the difference is added to the bias of
    every layer that consumes the channel: ``b += sum(kernel * (old - new))``. After an activation f
    the difference is ``f(beta) - f(0)``, which is often 0.

    A convolution whose windows include zero padding has no such bias, because padding is not the
    constant. Its batch norm is kept, as are others for the reasons in `obstacle_to_moving`.
    """
    found = pairs(graph, NEURAL, ("BatchNormalization",))
    for name in [second.name for _, second in found if constant_channels(second).any()]:
        try:
            graph = _folded(graph, graph.node(name))
        except _Blocked:
            continue
    return graph


def constant_channels(batchnorm: Node) -> np.ndarray:
    """Return a bool mask of channels with gamma 0 and a beta too large for a filter of zeros."""
    scale, _, beta = batchnorm_factors(batchnorm)
    return (scale == 0) & (np.abs(beta) > LARGEST_CONSTANT)


def obstacle_to_moving(graph: Graph, batchnorm: Node) -> str:
    """Return a phrase on why the constants of `batchnorm` cannot be moved."""
    try:
        _folded(graph, batchnorm)
    except _Blocked as reason:
        return str(reason)
    return "can be moved into the next layer"


class _Blocked(Exception):
    """A consumer cannot take the constant; the text names the layer and the reason."""


@dataclass(frozen=True, eq=False)
class _Channels:
    """Change of the channels of a tensor: float32 arrays of shape (channels,).

    Attributes
    ----------
    value : array
        The old output if it is the same for all pixels and images, else NaN.
    shift : array
        Old output minus new output.
    """

    value: np.ndarray
    shift: np.ndarray

    @property
    def known(self) -> bool:
        """True if every channel that changes is constant."""
        return not np.any(np.isnan(self.value) & (self.shift != 0))


def _folded(graph, batchnorm):
    scale, _, beta = batchnorm_factors(batchnorm)
    shift = np.where(constant_channels(batchnorm), beta, 0).astype(np.float32)
    moved = {batchnorm.name: _Channels(np.where(scale == 0, beta, np.nan), shift)}
    new = {batchnorm.name: batchnorm.with_weights(beta=beta - shift)}
    for node in graph.nodes:
        if moved.keys().isdisjoint(node.inputs):
            continue
        inputs = [moved.get(name) or _unchanged(graph.shapes[name][-1]) for name in node.inputs]
        rule = RULES.get(node.op)
        if rule is None:
            raise _Blocked(f"reach {node.name} ({node.op})")
        result = rule(graph, node, *inputs)
        if isinstance(result, Node):
            new[node.name] = result
        elif np.any(result.shift):
            moved[node.name] = result
    if graph.output in moved:
        raise _Blocked("are outputs of the model")
    return replaced(graph, new)


def _unchanged(channels):
    return _Channels(np.full(channels, np.nan, np.float32), np.zeros(channels, np.float32))


def _same_channels(graph, node, channels):
    return channels


def _flattened(graph, node, channels):
    """Repeat the channels if a Flatten turns pixels into channels."""
    size, count = graph.shapes[node.name][-1], channels.shift.size
    if size % count:
        raise _Blocked(f"are divided by {node.name} ({node.op})")
    repeated = (np.tile(array, size // count) for array in (channels.value, channels.shift))
    return _Channels(*repeated)


def _permuted(graph, node, channels):
    if node.attrs["dims"][-1] != len(node.attrs["dims"]):
        raise _Blocked(f"are no longer the last axis after {node.name} (Permute)")
    return channels


def _activated(graph, node, channels):
    if not channels.known:
        raise _Blocked(f"reach {node.name} ({node.op}) added to other values")
    if node.op == "Activation" and node.attrs["activation"] == "softmax":
        raise _Blocked(f"reach {node.name} (softmax)")
    if node.op == "PReLU":
        if node.weights["alpha"].size != channels.shift.size:
            raise _Blocked(f"reach {node.name}, a PReLU with a slope per pixel")
        node = node.with_weights(alpha=node.weights["alpha"].reshape(-1))
    old = np.where(np.isnan(channels.value), 0, channels.value)[None]
    shift = run_node(node, old)[0] - run_node(node, old - channels.shift)[0]
    value = np.where(np.isnan(channels.value), np.nan, run_node(node, old)[0])
    return _Channels(value, shift)


def _normalised(graph, node, channels):
    if node.attrs["axis"] not in (-1, len(graph.shapes[node.name])):
        raise _Blocked(f"reach {node.name}, a BatchNormalization of another axis")
    scale, mean, beta = batchnorm_factors(node)
    return _Channels((channels.value - mean) * scale + beta, channels.shift * scale)


def _rescaled(graph, node, channels):
    scale, offset = (np.float32(node.attrs[key]) for key in ("scale", "offset"))
    return _Channels(channels.value * scale + offset, channels.shift * scale)


def _added(graph, node, *inputs):
    parts = np.float32(len(inputs) if node.attrs["average"] else 1)
    value, shift = (sum(getattr(part, key) for part in inputs) for key in ("value", "shift"))
    return _Channels(value / parts, shift / parts)


def _concatenated(graph, node, *inputs):
    if node.attrs["axis"] not in (-1, len(graph.shapes[node.name])):
        raise _Blocked(f"reach {node.name}, a Concatenate of another axis")
    return _Channels(*(np.concatenate([getattr(i, k) for i in inputs]) for k in ("value", "shift")))


def _absorbed(graph, node, channels):
    """Return the layer with the shift's contribution added to its bias."""
    probe, window = node.with_attrs(use_bias=False), ()
    if node.op in CONVOLUTIONS:
        axes = zip(node.attrs["kernel_size"], node.attrs["dilation_rate"], strict=True)
        window = tuple((k - 1) * d + 1 for k, d in axes)
        sides = zip(graph.shapes[node.inputs[0]], window, node.attrs["strides"], strict=False)
        if node.attrs["padding"] == "same" and any(sum(same_padding(*side)) for side in sides):
            raise _Blocked(
                f"reach {node.name} ({node.op}), which pads its border with zeros instead"
            )
        probe = probe.with_attrs(padding="valid")
    values = np.broadcast_to(channels.shift, (1, *window, channels.shift.size))
    constant = run_node(probe, np.ascontiguousarray(values, np.float32)).reshape(-1)
    bias = node.weights.get("bias", np.float32(0)) + constant
    return node.with_attrs(use_bias=True).with_weights(bias=bias.astype(np.float32))


RULES: dict[str, Callable[..., Node | _Channels]] = {
    **dict.fromkeys(("Dense", *CONVOLUTIONS), _absorbed),
    **dict.fromkeys(ACTIVATIONS, _activated),
    **dict.fromkeys(("Dropout", "MaxPooling2D", "AveragePooling2D"), _same_channels),
    **dict.fromkeys(("GlobalAveragePooling2D", "UpSampling2D"), _same_channels),
    **dict.fromkeys(("Flatten", "Reshape"), _flattened),
    "Permute": _permuted,
    "BatchNormalization": _normalised,
    "Rescaling": _rescaled,
    "Add": _added,
    "Concatenate": _concatenated,
}
"""Functions by operation, of (graph, node, channels of each input): they return the layer with
another bias, or the change of its output channels."""
