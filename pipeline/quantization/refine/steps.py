"""Cut a graph into steps that are refined one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import JOINS, NEURAL
from pipeline.quantization.calibrated_graph import NodeQuantization

Step = tuple[Node, ...]
"""A node, and those that continue its sum until it is quantized."""


def steps(graph: Graph, nodes: Mapping[str, NodeQuantization]) -> list[Step]:
    """Return all nodes of a graph in steps, each after those that feed it.

    Parameters
    ----------
    graph : Graph
    nodes : mapping of str to NodeQuantization
        Says which nodes compute, and where outputs are quantized.
    """
    taken: set[str] = set()
    result = []
    for node in graph.nodes:
        if node.name in taken or node.op == "Outputs":
            continue
        step = [node]
        while (follower := _follower(graph, nodes, step[-1])) is not None:
            step.append(follower)
        taken.update(member.name for member in step)
        result.append(tuple(step))
    return result


def _follower(graph, nodes, node) -> Node | None:
    settings = nodes.get(node.name)
    summing = node.op not in ("Input", "Rescaling") and (
        settings is None or settings.output is None
    )
    if not summing or (settings is None and not _continues(graph, nodes, node)):
        return None
    follower = graph.sole_consumer(node)
    if follower is None or follower.op in (*NEURAL, *JOINS) or len(follower.inputs) != 1:
        return None
    return follower


def _continues(graph, nodes, node) -> bool:
    """Return whether a node that only moves values moves a sum."""
    before = graph.node(node.inputs[0])
    settings = nodes.get(before.name)
    if settings is not None:
        return settings.output is None
    return bool(before.inputs) and len(before.inputs) == 1 and _continues(graph, nodes, before)


def relu_bounds(step: Step) -> tuple[float, float]:
    """Return the bounds of the ReLU that sees a step's sums themselves."""
    for node in step[1:]:
        if node.op == "ReLU":
            highest = node.attrs["max_value"]
            return 0.0, np.inf if highest is None else float(highest)
        if node.op != "MaxPooling2D":
            break
    return -np.inf, np.inf
