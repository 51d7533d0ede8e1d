"""Replace Dense layers on maps by 1x1 convolutions."""

from __future__ import annotations

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.transforms.rewrite import Rewrite


def dense_on_map(graph: Graph) -> Rewrite:
    """Replace Dense on (height, width, channels) by a 1x1 Conv2D."""
    changed = []

    def split(node):
        shape = graph.shapes[node.inputs[0]] if node.inputs else ()
        if node.op != "Dense" or len(shape) != 3 or shape[:2] == (1, 1):
            return None
        changed.append(node.name)
        attrs = {
            "filters": node.attrs["units"],
            "kernel_size": 1,
            "padding": "same",
            "use_bias": node.attrs["use_bias"],
        }
        weights = {**node.weights, "kernel": node.weights["kernel"][None, None]}
        return [make_node(node.name, "Conv2D", node.inputs, attrs, weights)]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))
