"""Give max pooling the padding of its convolution, where that moves nothing; equivalent."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.preparation.editing import replaced
from pipeline.transforms.rewrite import Rewrite
from simulator.windows import same_padding

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
BETWEEN = ("BatchNormalization", "ReLU", "Activation", "LeakyReLU", "Dropout")


def match_pool_padding(graph: Graph, options=None, images=None) -> Rewrite:
    """Change the padding of MaxPooling2D to its convolution's (equivalent).

    Only where the windows tile the map, so that no padding takes place either way.

    Parameters
    ----------
    graph : Graph
    options, images
        Not used.
    """
    new = {}
    for node in graph.nodes:
        if node.op != "MaxPooling2D":
            continue
        head = graph.node(node.inputs[0])
        while head.op in BETWEEN and graph.sole_consumer(head) is not None:
            head = graph.node(head.inputs[0])
        if head.op not in CONVOLUTIONS:
            continue
        wanted = "same" if head.attrs["kernel_size"] == (1, 1) else head.attrs["padding"]
        if node.attrs["padding"] != wanted and tiles(node, graph.shapes[node.inputs[0]]):
            new[node.name] = node.with_attrs(padding=wanted)
    return Rewrite(graph=replaced(graph, new), changed=tuple(new))


def tiles(node, shape) -> bool:
    """Return whether the windows of a pool on a map of `shape` meet its edges exactly."""
    pool = node.attrs["pool_size"]
    axes = zip(shape[:2], pool, node.attrs["strides"] or pool, strict=True)
    return all((n - k) % s == 0 and same_padding(n, k, s) == (0, 0) for n, k, s in axes)
