"""Separate the last layers of a model, so that the layers before are computed only once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph

BATCH = 256


def tail(graph: Graph, name: str) -> Graph | None:
    """Return the layers after the node `name` as a graph, whose input is this node.

    None if one of them also reads an earlier layer, or if the output does not depend on the node.
    """
    reached = graph.downstream([name])
    kept = [node for node in graph.nodes if node.name in reached and node.name != name]
    passed_by = any(not reached.issuperset(node.inputs) for node in kept)
    if passed_by or graph.output not in reached:
        return None
    attrs = {"shape": graph.shapes[name], "dtype": "float32"}
    return graph.with_nodes([make_node(name, "Input", (), attrs), *kept])


def with_tail(graph: Graph, part: Graph) -> Graph:
    """Return `graph` with its last layers replaced by those of a changed tail."""
    changed = {node.name: node for node in part.nodes if node.op != "Input"}
    return graph.with_nodes(changed.get(node.name, node) for node in graph.nodes)


@contextmanager
def tails(
    graphs: Sequence[Graph], name: str, images: np.ndarray
) -> Iterator[tuple[list[Graph], np.ndarray]]:
    """Yield the tails of models that are equal up to the node `name`, and their inputs.

    The node's outputs are stored in a temporary file. If a model has no tail there, the models
    themselves are yielded with `images`.

    Parameters
    ----------
    graphs : sequence of Graph
    name : str
    images : array of shape (n, height, width, channels)

    Yields
    ------
    list of Graph
    array
        Inputs of these graphs.
    """
    found = [tail(graph, name) for graph in graphs]
    if any(part is None for part in found):
        yield list(graphs), images
        return
    order = [node.name for node in graphs[0].nodes]
    head = graphs[0].with_nodes(graphs[0].nodes[: order.index(name) + 1], name)
    with tempfile.TemporaryDirectory() as folder:
        shape = len(images), *head.shapes[name]
        stored = np.lib.format.open_memmap(
            Path(folder, "outputs.npy"), mode="w+", dtype=np.float32, shape=shape
        )
        for start in range(0, len(images), BATCH):
            stored[start : start + BATCH] = forward(head, images[start : start + BATCH])
        yield found, stored
