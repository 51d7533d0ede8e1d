"""Describe the nodes of a graph as Keras layers: class, configuration, variables in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import CHANNELS_LAST
from pipeline.graph.node import Node

MISSING = (
    *("DepthwiseConv2DTranspose", "BufferTempConv", "DepthwiseBufferTempConv"),
    "QuantizedReLU",
)
"""Layers that Keras itself does not have."""
VARIABLES = (
    *("depthwise_kernel", "pointwise_kernel", "kernel", "bias"),
    *("gamma", "beta", "moving_mean", "moving_variance", "alpha"),
)
"""In the order in which Keras keeps them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A Keras layer and how it is fed.

    Attributes
    ----------
    name, class_name : str
    config : dict
        JSON values; what it leaves out has Keras' default.
    inputs : tuple of str
        Names of layers.
    variables : dict of str to float32 array
        Under their Keras names, in Keras' order.
    shape, dtype
        Of the output, without the batch.
    """

    name: str
    class_name: str
    config: dict[str, Any]
    inputs: tuple[str, ...]
    variables: dict[str, np.ndarray]
    shape: tuple[int, ...]
    dtype: str


def keras_layers(graph: Graph, generation: int) -> list[Layer]:
    """Return the layers that contribute to the output of `graph`.

    An integer input whose readers are no Rescaling gets one of scale 1 behind it, since Keras
    layers do not take integers.

    Parameters
    ----------
    graph : Graph
    generation : {2, 3}
        Of Keras.

    Raises
    ------
    IncompatibleModelError
        Naming every node that this Keras has no layer for.
    """
    graph = _castable(_pruned(graph))
    reasons = [reason for node in graph.nodes for reason in _obstacles(node, generation)]
    if reasons:
        raise IncompatibleModelError(graph.name, reasons, f"write a Keras {generation} file")
    return [_layer(graph, node, generation) for node in graph.nodes]


def _pruned(graph):
    needed = {graph.output, graph.input.name}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return graph.with_nodes(node for node in graph.nodes if node.name in needed)


def _castable(graph):
    entry = graph.input
    readers = graph.consumers(entry)
    if entry.attrs["dtype"].startswith("float") or all(n.op == "Rescaling" for n in readers):
        return graph
    name = graph.fresh_name(f"{entry.name}_as_float")
    cast = make_node(name, "Rescaling", (entry.name,), {"scale": 1.0})
    rest = (
        node
        if node.op == "Rescaling"
        else node.with_inputs(*(name if source == entry.name else source for source in node.inputs))
        for node in graph.nodes[1:]
    )
    return graph.with_nodes([entry, cast, *rest])


def _obstacles(node, generation):
    if node.op in MISSING:
        yield f"{node.name}: Keras has no layer {node.op}; keep the graph as .npz"
    if node.attrs.get("padding_value") is not None:
        yield f"{node.name}: Keras pads with zeros only; write the model before it is prepared"
    if generation == 2 and node.attrs.get("activation") == "hard_silu":
        yield f"{node.name}: Keras 2 has no activation 'hard_silu'; write a .keras file"


def _layer(graph, node: Node, generation) -> Layer:
    kind, config = _described(node, generation)
    if node.op in CHANNELS_LAST:
        config["data_format"] = "channels_last"
    if node.op != "Input":
        config = {"trainable": True, "dtype": "float32", **config}
    weights = dict(node.weights)
    if node.op == "DepthwiseConv2D":
        weights["depthwise_kernel"] = weights.pop("kernel")
    return Layer(
        name=node.name,
        class_name=kind,
        config={"name": node.name, **config},
        inputs=node.inputs,
        variables={key: weights[key] for key in VARIABLES if key in weights},
        shape=graph.shapes[node.name],
        dtype=node.attrs["dtype"] if node.op == "Input" else "float32",
    )


def _described(node, generation) -> tuple[str, dict]:
    """Return class and configuration of the layer for one node."""
    attrs = dict(node.attrs)
    attrs.pop("padding_value", None)
    slope = "alpha" if generation == 2 else "negative_slope"
    if node.op == "Input":
        key = "batch_input_shape" if generation == 2 else "batch_shape"
        config = {key: [None, *attrs["shape"]], "dtype": attrs["dtype"]}
        return "InputLayer", {**config, "sparse": False, "ragged": False}
    if node.op == "LeakyReLU":
        return "LeakyReLU", {slope: attrs["negative_slope"]}
    if node.op == "Activation":
        if attrs["activation"] == "leaky_relu":
            return "LeakyReLU", {slope: attrs["alpha"]}
        return "Activation", {"activation": attrs["activation"]}
    if node.op == "Add":
        return ("Average" if attrs["average"] else "Add"), {}
    return node.op, attrs
