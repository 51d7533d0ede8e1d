"""Initialize a model with the weights of another one, layer by layer of equal name and shape."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.archive import load_graph
from pipeline.graph.graph import Graph
from pipeline.importers import load_model
from simulator.archive import archive_kind

SHOWN = 5


def take_weights(graph: Graph, path) -> tuple[Graph, list[str]]:
    """Return `graph` with the weights of a file, and the layers that keep their own.

    Parameters
    ----------
    graph : Graph
    path : path-like
        A float model: ``.npz`` of ours, ``.h5`` or ``.keras``.

    Returns
    -------
    Graph
    fresh : list of str
        One line for each layer without a counterpart of the same name and shape, such as the last
        layer of a model for other classes.

    Raises
    ------
    ModelError
        When the file is not a float model, or no layer matches.
    """
    if not Path(path).is_file():
        raise ModelError(f"training.weights: no file '{path}'; give a .npz, .h5 or .keras model")
    source = load_graph(path) if archive_kind(path) is not None else load_model(path)
    if not isinstance(source, Graph):
        raise ModelError(f"training.weights: '{path}' is quantized; give a float model")
    known = {node.name: node for node in source.nodes if node.weights}
    nodes, fresh, taken = [], [], 0
    for node in graph.nodes:
        found = known.get(node.name)
        if not node.weights:
            nodes.append(node)
        elif found is not None and _shapes(found) == _shapes(node):
            nodes.append(node.with_weights(**found.weights))
            taken += 1
        else:
            nodes.append(node)
            reason = "is not in the file" if found is None else _difference(node, found)
            fresh.append(f"{node.name}: keeps its fresh weights, it {reason}")
    if not taken:
        names = ", ".join(list(known)[:SHOWN]) or "none"
        raise ModelError(
            f"training.weights: no layer of {graph.name} matches one of the same name and"
            f" shape in '{path}'; its layers: {names}{', ...' if len(known) > SHOWN else ''}"
        )
    return graph.with_nodes(nodes), fresh


def _shapes(node):
    return {key: array.shape for key, array in node.weights.items()}


def _difference(node, found):
    pairs = [
        f"{key} {found.weights[key].shape if key in found.weights else 'none'}, needs {array.shape}"
        for key, array in node.weights.items()
        if key not in found.weights or found.weights[key].shape != array.shape
    ]
    return f"has {'; '.join(pairs) or 'other weights'} in the file"
