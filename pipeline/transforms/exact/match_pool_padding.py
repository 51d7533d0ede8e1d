"""Give max pooling the padding of its convolution, if that has no effect."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.traits import CONVOLUTIONS, POINTWISE
from pipeline.preparation.editing import replaced
from pipeline.transforms.rewrite import Rewrite
from simulator.windows import same_padding


def match_pool_padding(graph: Graph) -> Rewrite:
    """Change the padding of MaxPooling2D to that of its convolution.

    Only where the windows tile the map, so that neither padding adds pixels.
    """
    new = {}
    for node in graph.nodes:
        if node.op != "MaxPooling2D":
            continue
        head = graph.skip_back(node.inputs[0], POINTWISE)
        if head.op not in CONVOLUTIONS or graph.skip_ahead(head, POINTWISE) is not node:
            continue
        wanted = "same" if head.attrs["kernel_size"] == (1, 1) else head.attrs["padding"]
        if node.attrs["padding"] != wanted and tiles(node, graph.shapes[node.inputs[0]]):
            new[node.name] = node.with_attrs(padding=wanted)
    return Rewrite(graph=replaced(graph, new), changed=tuple(new))


def tiles(node, shape) -> bool:
    """Return True if the windows of a pooling cover a map of `shape` exactly."""
    pool = node.attrs["pool_size"]
    axes = zip(shape[:2], pool, node.attrs["strides"] or pool, strict=True)
    return all((n - k) % s == 0 and same_padding(n, k, s) == (0, 0) for n, k, s in axes)
