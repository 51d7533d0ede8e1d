"""Exchange graphs with Keras, which trains and checks models."""

from __future__ import annotations

import re

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph


def keras_names(graph: Graph, version: int = 3) -> dict[str, str]:
    """Return a name for every node that Keras of a major `version` accepts."""
    names: dict[str, str] = {}
    wanted = {node.name: accepted_name(node.name, version) for node in graph.nodes}
    taken = {name for name, accepted in wanted.items() if name == accepted}
    for name, base in wanted.items():
        unique, number = base, 1
        while name != base and unique in taken:
            unique, number = f"{base}_{number}", number + 1
        taken.add(unique)
        names[name] = unique
    return names


def accepted_name(name: str, version: int = 3) -> str:
    """Return `name` if Keras accepts it, else a similar name that it accepts.

    Keras 2 accepts ``/`` in names, Keras 3 does not; both restrict other characters to those of
    TensorFlow's scope names.
    """
    text = name if version == 2 else name.replace("/", "__")
    text = re.sub(r"[^A-Za-z0-9_.>/-]", "_", text)
    return re.sub(r"^[^A-Za-z0-9.]+", "", text) or "layer"


def to_keras(graph: Graph):
    """Return `graph` as a Keras 3 functional model with the same weights.

    Integer inputs keep their dtype and are cast to float32 inside the model.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    keras.Model

    Raises
    ------
    ModelError
        If Keras lacks layers of the graph; names them all.
    """
    import keras

    missing = [
        f"{node.name} ({node.op})"
        for node in graph.nodes
        if not node.operation.can_build_keras(node.attrs)
    ]
    if missing:
        raise ModelError(f"{graph.name}: Keras has no such layer: {', '.join(missing)}")
    names, values = keras_names(graph), {}
    shape, dtype = graph.input.attrs["shape"], graph.input.attrs["dtype"]
    entry = keras.Input(shape, dtype=dtype, name=names[graph.input.name])
    is_float = dtype.startswith("float")
    values[graph.input.name] = entry if is_float else keras.ops.cast(entry, "float32")
    for node in graph.nodes[1:]:
        inputs = [values[source] for source in node.inputs]
        layer = node.operation.build_keras(keras, node.attrs, names[node.name])
        values[node.name] = layer(inputs if len(inputs) > 1 else inputs[0])
        _set_weights(layer, node)
    return keras.Model(entry, values[graph.output], name=accepted_name(graph.name))


def from_keras_weights(graph: Graph, model) -> Graph:
    """Return `graph` with the weights of the Keras model that `to_keras` built from it."""
    names = keras_names(graph)
    nodes = []
    for node in graph.nodes:
        if not node.weights:
            nodes.append(node)
            continue
        variables = {v.name: v for v in model.get_layer(names[node.name]).weights}
        weights = {key: np.asarray(variables[key], np.float32) for key in node.weights}
        nodes.append(node.with_weights(**weights))
    return graph.with_nodes(nodes)


def _set_weights(layer, node):
    for variable in layer.weights:
        if variable.name in node.weights:
            variable.assign(node.weights[variable.name])
