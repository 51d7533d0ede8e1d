"""Bring global averages into the order of Akida 1.0: before the activation; equivalent."""

from __future__ import annotations

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.traits import NEURAL
from pipeline.preparation.editing import inserted
from pipeline.transforms.identity_before_pooling import identity
from pipeline.transforms.rewrite import Rewrite

AVERAGING = ("Conv2D", "SeparableConv2D")
PASSED = ("Dropout", "Flatten", "Reshape")


def gap_before_activation(graph: Graph, options=None, images=None) -> Rewrite:
    """Rewrite ``ReLU > average`` as ``ReLU > identity > average > ReLU`` (equivalent).

    The added ReLU, which Akida 1.0 wants before the next layer, changes nothing: averages of
    what a ReLU lets through are not negative.

    Parameters
    ----------
    graph : Graph
    options, images
        Not used.
    """
    changed = []
    for node in graph.nodes:
        if node.op != "GlobalAveragePooling2D":
            continue
        source = graph.node(node.inputs[0])
        while source.op in PASSED:
            source = graph.node(source.inputs[0])
        if source.op != "ReLU" or source.attrs["negative_slope"]:
            continue
        changed.append(node.name)
        new = identity(graph, node.inputs[0])
        graph = inserted(graph, node.inputs[0], new, readers={node.name})
        if _reads(graph, node.name):
            attrs = {"max_value": source.attrs["max_value"]}
            relu = make_node(graph.fresh_name(f"{node.name}/relu"), "ReLU", [node.name], attrs)
            graph = inserted(graph, node.name, relu)
    return Rewrite(graph=graph, changed=tuple(changed))


def _reads(graph, name):
    """Return whether a neural layer follows without an activation between."""
    for reader in graph.consumers(name):
        if reader.op in NEURAL or (reader.op in PASSED and _reads(graph, reader.name)):
            return True
    return False
