"""Describe the nodes of a graph as Keras layers: class, configuration, ordered variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from simulator.refusal import Refusal


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A Keras layer and its inputs.

    Attributes
    ----------
    name, class_name : str
    config : dict
        JSON values; missing keys have Keras' defaults.
    inputs : tuple of str
        Names of the producing layers.
    variables : dict of str to float32 array
        Under their Keras names, in Keras' order.
    shape, dtype
        Of the output, without the batch axis.
    """

    name: str
    class_name: str
    config: dict[str, Any]
    inputs: tuple[str, ...]
    variables: dict[str, np.ndarray]
    shape: tuple[int, ...]
    dtype: str


def keras_layers(graph: Graph, generation: int) -> list[Layer]:
    """Return the layers that contribute to the outputs of `graph`.

    A Rescaling of scale 1 is inserted after an integer input whose consumers are not Rescalings,
    since Keras layers do not take integers.

    Parameters
    ----------
    graph : Graph
    generation : {2, 3}
        Of Keras.

    Raises
    ------
    IncompatibleModelError
        If this Keras lacks layers for some nodes; names all of them.
    """
    graph = _with_rescaled_input(pruned(graph))
    refusals = [refusal for node in graph.nodes for refusal in _obstacles(node, generation)]
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, f"write a Keras {generation} file")
    return [_layer(graph, node, generation) for node in graph.nodes if node.op != "Outputs"]


def pruned(graph: Graph) -> Graph:
    """Return a graph without the nodes that do not lead to its outputs."""
    needed = {graph.output, graph.input.name}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return graph.with_nodes(node for node in graph.nodes if node.name in needed)


def _with_rescaled_input(graph):
    entry = graph.input
    consumers = graph.consumers(entry)
    if entry.attrs["dtype"].startswith("float") or all(n.op == "Rescaling" for n in consumers):
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
    operation = node.operation
    if not operation.in_keras and node.op != "Outputs":
        found, fix = f"Keras has no layer {node.op}", "keep the graph as .npz"
        yield Refusal(layers=(node.name,), found=found, fix=fix)
    elif reason := operation.keras_obstacle(node.attrs, generation):
        yield Refusal(layers=(node.name,), found=reason)


def _layer(graph, node: Node, generation) -> Layer:
    operation = node.operation
    kind, config = operation.write_keras(node.attrs, generation)
    if operation.data_format:
        config["data_format"] = "channels_last"
    if node.op != "Input":
        config = {"trainable": True, "dtype": "float32", **config}
    return Layer(
        name=node.name,
        class_name=kind,
        config={"name": node.name, **config},
        inputs=node.inputs,
        variables=operation.write_weights(node.attrs, node.weights),
        shape=graph.shapes[node.name],
        dtype=node.attrs["dtype"] if node.op == "Input" else "float32",
    )
