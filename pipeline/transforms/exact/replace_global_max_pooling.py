"""Write the largest value of a map as a max pooling of one window."""

from __future__ import annotations

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.transforms.rewrite import Rewrite


def replace_global_max_pooling(graph: Graph) -> Rewrite:
    """Replace GlobalMaxPooling2D by a MaxPooling2D of one square window that covers the map.

    A Reshape to a vector follows, unless the dimensions are kept. Windows above 2x2 run on the
    emulator only.
    """
    changed = []

    def split(node):
        if node.op != "GlobalMaxPooling2D":
            return None
        changed.append(node.name)
        shape = graph.shapes[node.inputs[0]]
        side = max(shape[:2])
        attrs = {"pool_size": side, "strides": side, "padding": "same"}
        if node.attrs["keepdims"]:
            return [make_node(node.name, "MaxPooling2D", node.inputs, attrs)]
        name = graph.part_name(node.name, "map")
        pool = make_node(name, "MaxPooling2D", node.inputs, attrs)
        return [pool, make_node(node.name, "Reshape", [name], {"target_shape": shape[2:]})]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))
