"""Split large strided depthwise convolutions."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph


def split_strided_depthwise(graph: Graph) -> Graph:
    """Split "same" 5x5 and 7x7 depthwise convolutions of stride 2 into stride 1 and a selection.

    The selection is a 3x3 depthwise convolution of stride 2 with a single one at its centre,
    named ``<name>_identity_dw_conv``.
    """
    found = {node.name for node in graph.nodes if _applies(node)}
    if not found:
        return graph

    def split(node):
        if node.name not in found:
            return None
        kernel = np.zeros((3, 3, graph.shapes[node.name][-1], 1), np.float32)
        kernel[1, 1] = 1
        attrs = {"kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}
        name = graph.fresh_name(f"{node.name}_identity_dw_conv")
        selection = make_node(name, "DepthwiseConv2D", [node.name], attrs, {"kernel": kernel})
        return [node.with_attrs(strides=(1, 1)), selection]

    return graph.rewrite(split)


def _applies(node):
    if node.op != "DepthwiseConv2D":
        return False
    attrs = node.attrs
    return (
        attrs["strides"] == (2, 2)
        and attrs["kernel_size"] in ((5, 5), (7, 7))
        and attrs["padding"] == "same"
        and attrs["depth_multiplier"] == 1
        and attrs["dilation_rate"] == (1, 1)
    )
