"""Insert an identity convolution before global averages that no convolution can absorb."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.traits import JOINS, POINTWISE
from pipeline.preparation.editing import inserted
from pipeline.preparation.odd_kernels import reads_image
from pipeline.transforms.rewrite import Rewrite

AVERAGING = ("Conv2D", "SeparableConv2D")
"""Layers that absorb an average on Akida 2.0, once separable ones are split."""


def identity_before_pooling(graph: Graph) -> Rewrite:
    """Insert a 1x1 identity Conv2D before averages that no convolution can absorb.

    These are averages after depthwise and transposed convolutions, after a max pooling, of the
    input, of a tensor with several consumers, and after the first convolution where that is one of
    pixels, or pads images with other values than 0. After a join, quantization inserts an identity
    itself.
    """
    changed = []
    for node in graph.nodes:
        if node.op == "GlobalAveragePooling2D" and not _is_absorbed(graph, node):
            changed.append(node.name)
            source = node.inputs[0]
            graph = inserted(graph, source, identity(graph, source), consumers={node.name})
    return Rewrite(graph=graph, changed=tuple(changed))


def identity(graph: Graph, source: str):
    """Return a 1x1 identity convolution that reads `source`."""
    channels = graph.shapes[source][-1]
    attrs = {"filters": channels, "kernel_size": 1, "padding": "same", "use_bias": False}
    kernel = np.eye(channels, dtype=np.float32)[None, None]
    name = graph.part_name(source, "identity")
    return make_node(name, "Conv2D", [source], attrs, {"kernel": kernel})


def _is_absorbed(graph, average):
    before = graph.node(average.inputs[0])
    while before.op in POINTWISE:
        if graph.sole_consumer(before) is None:
            return False
        before = graph.node(before.inputs[0])
    if before.op in AVERAGING:
        return graph.sole_consumer(before) is not None and not _reads_pixels(graph, before)
    return before.op in JOINS


def _reads_pixels(graph, node):
    """Return whether only InputConv2D, which averages nothing, reads what a layer reads.

    It does for uint8 images, and where the zeros around rescaled images are other pixels.
    """
    if node.op != "Conv2D":
        return False
    source = graph.node(node.inputs[0])
    shifted = source.op == "Rescaling" and np.any(source.attrs["offset"])
    if shifted and node.attrs["padding"] == "same":
        return True
    return graph.input.attrs["dtype"] == "uint8" and reads_image(graph, node)
