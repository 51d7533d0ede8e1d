"""Let a Dense layer read signed images, the only ones that the chip gives it."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.editing import replaced
from pipeline.transforms.feeding import SHIFT, Feeding
from pipeline.transforms.rewrite import Rewrite

BETWEEN = ("Rescaling", "Flatten", "Reshape", "Dropout")
ZERO = 128
"""The uint8 value that becomes 0."""


def shift_input(graph: Graph) -> Rewrite:
    """Let a first Dense layer read int8 images: uint8 ones minus 128, which its bias makes good.

    The chip reads unsigned images only into a convolution with an activation.
    """
    first = graph.skip_ahead(graph.input, BETWEEN)
    if graph.input.attrs["dtype"] != "uint8" or first is None or first.op != "Dense":
        return Rewrite(graph=graph, changed=())
    image = graph.input.with_attrs(dtype="int8")
    new = replaced(graph, {image.name: image, first.name: _with_zero(graph, first)})
    return Rewrite(graph=new, changed=(first.name,), feeding=Feeding(((SHIFT, (-ZERO,)),)))


def _with_zero(graph: Graph, dense: Node) -> Node:
    """Return the Dense layer whose bias adds what all of its inputs lack."""
    rescaling = graph.sole_consumer(graph.input)
    scale = rescaling.attrs["scale"] if rescaling.op == "Rescaling" else 1.0
    kernel = dense.weights["kernel"].astype(np.float64)
    lacking = ZERO * np.resize(np.float64(scale), len(kernel))
    bias = dense.weights.get("bias", np.float32(0)) + lacking @ kernel
    return dense.with_attrs(use_bias=True).with_weights(bias=np.float32(bias))
