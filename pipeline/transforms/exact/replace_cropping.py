"""Cut rows and columns off a map by selecting the others."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.selecting import selection


def replace_cropping(graph: Graph) -> Rewrite:
    """Replace Cropping2D by a depthwise convolution without padding, of one weight of 1.

    It runs on the emulator only.
    """
    changed = []

    def split(node: Node):
        if node.op != "Cropping2D":
            return None
        changed.append(node.name)
        (top, bottom), (left, right) = node.attrs["cropping"]
        if not any((top, bottom, left, right)):
            return []
        size = top + bottom + 1, left + right + 1
        channels = graph.shapes[node.name][-1]
        return [selection(node.name, node.inputs[0], channels, size=size, place=(top, left))]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))
