"""Put global averages into Akida 1.0's order: before the activation."""

from __future__ import annotations

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.traits import KEEPS_VALUES, NEURAL
from pipeline.preparation.editing import inserted
from pipeline.transforms.exact.identity_before_pooling import identity
from pipeline.transforms.rewrite import Rewrite


def gap_before_activation(graph: Graph) -> Rewrite:
    """Rewrite ``ReLU > average`` as ``ReLU > identity > average > ReLU``.

    Akida 1.0 needs the added ReLU before the next layer. It changes nothing: averages of a ReLU's
    outputs are non-negative.
    """
    changed = []
    for node in graph.nodes:
        if node.op != "GlobalAveragePooling2D":
            continue
        source = graph.skip_back(node.inputs[0], KEEPS_VALUES)
        if source.op != "ReLU" or source.attrs["negative_slope"]:
            continue
        changed.append(node.name)
        new = identity(graph, node.inputs[0])
        graph = inserted(graph, node.inputs[0], new, consumers={node.name})
        if _feeds_neural(graph, node.name):
            attrs = {"max_value": source.attrs["max_value"]}
            relu = make_node(graph.part_name(node.name, "relu"), "ReLU", [node.name], attrs)
            graph = inserted(graph, node.name, relu)
    return Rewrite(graph=graph, changed=tuple(changed))


def _feeds_neural(graph, name):
    """Return True if a neural layer follows without an activation between them."""
    return any(
        node.op in NEURAL or (node.op in KEEPS_VALUES and _feeds_neural(graph, node.name))
        for node in graph.consumers(name)
    )
