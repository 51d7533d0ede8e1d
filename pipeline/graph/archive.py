"""Save and load a graph as one reproducible file: structure in the header, weights as arrays."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import LayerError, ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from simulator.archive import ArchiveError, read_archive, write_archive
from simulator.malformed import MALFORMED, brief

KIND = "graph"
VERSION = 1


def save_graph(path, graph: Graph) -> None:
    """Write `graph` to `path`; equal graphs give equal bytes.

    Arrays are named ``<node>/<weight>``.
    """
    header, arrays = graph_content(graph)
    write_archive(path, {"kind": KIND, "version": VERSION, **header}, arrays)


def load_graph(path) -> Graph:
    """Return the graph in `path`.

    Raises
    ------
    ModelError
        If the file is missing, damaged, of another kind or of a newer version, or when its
        weights do not fit its layers.
    """
    try:
        header, arrays = read_archive(path, KIND)
    except ArchiveError as error:
        raise ModelError(str(error)) from error
    if header.get("version") != VERSION:
        raise ModelError(
            f"{path}: is a graph file of version {header.get('version')}; this crossgrade reads"
            f" version {VERSION}; make the file again"
        )
    try:
        return graph_from_content(header, arrays)
    except ModelError:
        raise
    except MALFORMED as error:
        reason = f"{type(error).__name__}: {brief(error)}"
        raise ModelError(f"{path}: its header is damaged ({reason}); make it again") from error


def graph_content(graph: Graph) -> tuple[dict, dict]:
    """Return the structure of `graph` as JSON values, and its weights by ``<node>/<weight>``."""
    nodes = [
        {
            "name": node.name,
            "op": node.op,
            "inputs": list(node.inputs),
            "attrs": dict(node.attrs),
            "weights": list(node.weights),
        }
        for node in graph.nodes
    ]
    arrays = {
        f"{node.name}/{key}": array for node in graph.nodes for key, array in node.weights.items()
    }
    return {"name": graph.name, "output": graph.output, "nodes": nodes}, arrays


def graph_from_content(header: Mapping, arrays: Mapping) -> Graph:
    """Return the graph described by the result of `graph_content`.

    Raises
    ------
    ModelError
        If a layer is unknown, or a weight is missing or of the wrong shape.
    """
    nodes = []
    for entry in header["nodes"]:
        name = entry["name"]
        missing = [key for key in entry["weights"] if f"{name}/{key}" not in arrays]
        if missing:
            raise LayerError(name, f"its weight '{missing[0]}' is missing; make the file again")
        weights = {key: arrays[f"{name}/{key}"] for key in entry["weights"]}
        nodes.append(make_node(name, entry["op"], entry["inputs"], entry["attrs"], weights))
    graph = Graph(header["name"], tuple(nodes), header["output"])
    check_weights(graph)
    return graph


def check_weights(graph: Graph) -> None:
    """Raise if a weight of `graph` does not have the shape that its layer needs.

    Raises
    ------
    ModelError
        Naming every such weight.
    """
    problems = []
    for node in graph.nodes:
        source = graph.shapes[node.inputs[0]] if node.inputs else ()
        wanted = node.operation.weights(node.attrs, source)
        for key in dict.fromkeys((*wanted, *node.weights)):
            found = node.weights[key].shape if key in node.weights else "none"
            if found != wanted.get(key, "none"):
                problems.append(
                    f"{node.name}/{key}: shape {found}, {node.op} needs {wanted.get(key, 'none')}"
                )
    if problems:
        raise ModelError(f"{graph.name}: weights do not fit: {'; '.join(problems)}")
