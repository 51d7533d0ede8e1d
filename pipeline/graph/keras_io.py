"""Exchange graphs with Keras: Keras trains and checks a model, it never holds it."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph


def keras_names(graph: Graph) -> dict[str, str]:
    """Return a name that Keras accepts for every node: it refuses ``/``."""
    names: dict[str, str] = {}
    taken = {node.name for node in graph.nodes if "/" not in node.name}
    for node in graph.nodes:
        name = node.name
        if "/" in name:
            base, number = name.replace("/", "__"), 1
            name = base
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            taken.add(name)
        names[node.name] = name
    return names


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
        When the graph has layers that Keras does not; names them all.
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
    return keras.Model(entry, values[graph.output], name=_identifier(graph.name))


def from_keras_weights(graph: Graph, model) -> Graph:
    """Return `graph` with the weights of the Keras model that `to_keras` made of it."""
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


def _identifier(name):
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name)
