"""Fold the zero point of unsigned float inputs into the first layer.

An unsigned integer holds no negative values, so inputs are shifted by ``-range_min``; the first
layer's bias compensates the shift, and its padding uses the shifted zero.
"""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.quantization.assignment import first_layer


def fold_zero_point(graph: Graph, range_min: np.ndarray) -> tuple[Graph, dict[str, np.ndarray]]:
    """Return the graph for inputs shifted by ``-range_min``.

    Parameters
    ----------
    graph : Graph
        Prepared graph; a Conv2D, Dense or BufferTempConv reads the images or their rescaling.
    range_min : float32 array of shape () or (channels,)
        At most 0.

    Returns
    -------
    graph : Graph
        The first layer always has a bias.
    padding_values : dict of str to float32 array of shape (1,) or (channels,)
        Value of the first layer's "same" padding, in units of its input; empty without such
        padding.
    """
    layer = first_layer(graph)
    offset = np.asarray(range_min, np.float32)
    node = graph.sole_consumer(graph.input)
    while node is not layer:
        offset = offset * np.float32(node.attrs["scale"])
        node = graph.sole_consumer(node)
    kernel = layer.weights["kernel"]
    bias = layer.weights.get("bias", np.zeros(kernel.shape[-1], np.float32))
    if (range_min != 0).any():
        per_row = offset
        if layer.op == "BufferTempConv" and offset.ndim:
            per_row = np.tile(offset, layer.attrs["fifo_size"])
        bias = bias + np.sum(kernel * per_row.reshape(-1, 1), axis=tuple(range(kernel.ndim - 1)))
    padding_values = {}
    if layer.op == "Conv2D" and layer.attrs["padding"] == "same":
        written = np.atleast_1d(layer.attrs.get("padding_value") or 0.0) - np.atleast_1d(offset)
        written = written[:1] if (written == written[0]).all() else written
        padding_values[layer.name] = written.astype(np.float32)
        layer = layer.with_attrs(padding_value=tuple(padding_values[layer.name].tolist()))
    folded = layer.with_weights(bias=bias).with_attrs(use_bias=True)
    nodes = (folded if node.name == layer.name else node for node in graph.nodes)
    return graph.with_nodes(nodes), padding_values
