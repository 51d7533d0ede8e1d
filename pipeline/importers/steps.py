"""Layers on (steps, channels) as layers on maps of one column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.node import Node
from pipeline.importers.layer_table import READ_AS

KINDS = tuple(kind for kind in READ_AS if kind.endswith("1D"))
"""Keras classes of such layers."""
MAP_RANK = 3


def with_column(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return variables of a layer on steps, whose kernels get a second axis of 1."""
    return {
        name: array[:, None] if array.ndim == MAP_RANK else array for name, array in arrays.items()
    }


def on_column(nodes: list[Node], shape: tuple[int, ...], config: Mapping[str, Any]) -> list[Node]:
    """Return the nodes of a layer after those that make a map of its input.

    Parameters
    ----------
    nodes : list of Node
        The layer, and its activation.
    shape : tuple of int
        Of the layer's input: (steps, channels).
    config : mapping
        Of the layer.
    """
    if len(shape) != MAP_RANK - 1:
        raise ModelError(f"its input has the shape {shape}; allowed: steps and channels")
    layer = nodes[0]
    before = [reshape(f"{layer.name}_map", layer.inputs[0], (shape[0], 1, shape[1]))]
    if (zeros := causal_zeros(config)) > 0:
        sides = {"padding": ((zeros, 0), (0, 0))}
        name = f"{layer.name}_causal"
        before.append(make_node(name, "ZeroPadding2D", [before[0].name], sides))
    return [*before, layer.with_inputs(before[-1].name), *nodes[1:]]


def after_column(last: Node, shape: tuple[int, ...]) -> list[Node]:
    """Return the node that makes steps of a map of one column, if `last` outputs one."""
    if len(shape) != MAP_RANK:
        return []
    return [reshape(f"{last.name}_steps", last.name, (shape[0], shape[2]))]


def causal_zeros(config: Mapping[str, Any]) -> int:
    """Return the zeros before the first step with which Keras pads by 'causal'."""
    if config.get("padding") != "causal":
        return 0
    kernel, dilation = (
        value[0] if isinstance(value, list | tuple) else value
        for value in (config["kernel_size"], config.get("dilation_rate", 1))
    )
    return (kernel - 1) * dilation


def reshape(name: str, source: str, shape: tuple[int, ...]) -> Node:
    """Return a Reshape."""
    return make_node(name, "Reshape", [source], {"target_shape": shape})
