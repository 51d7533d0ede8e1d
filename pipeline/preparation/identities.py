"""Insert 1x1 identity convolutions where Akida 2.0 needs one to absorb the layers after it.

The names, conditions and order are those of QuantizeML 1.2.5 (``insert_identity_convs``).
"""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.traits import JOINS
from pipeline.preparation.editing import inserted, pairs
from pipeline.preparation.odd_kernels import reads_image

MOST_CHANNELS = 2048
# The convolutions that QuantizeML looks for.
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "DepthwiseConv2DTranspose")


def identity_before_relu_gap(graph: Graph) -> Graph:
    """Insert one after the Add of Add > ReLU > GlobalAveragePooling2D: an Add cannot pool."""
    for add, relu in list(pairs(graph, ("Add",), ("ReLU",))):
        consumer = graph.sole_consumer(relu)
        if consumer and consumer.op == "GlobalAveragePooling2D" and _fits(graph, add.name):
            graph = _identity(graph, add.name, f"{add.name}_identity_conv")
    return graph


def identity_after_joins(graph: Graph) -> Graph:
    """Insert one after every Add and Concatenate of maps that has no convolution as consumer."""
    for node in graph.nodes:
        if node.op in JOINS and _fits(graph, node.name):
            consumers = graph.consumers(node.name)
            if not any(consumer.op in CONVOLUTIONS for consumer in consumers):
                graph = _identity(graph, node.name, f"{node.name}_identity_conv")
    return graph


def identity_after_image_block(graph: Graph) -> Graph:
    """Insert one after a first block on an image of 1 or 3 channels that has several consumers."""
    node = graph.skip_ahead(graph.input, ("Rescaling",))
    if node is None or node.op != "Conv2D" or not reads_image(graph, node):
        return graph
    while (consumer := graph.sole_consumer(node)) and consumer.op in (
        "ReLU",
        "MaxPooling2D",
        "Activation",
    ):
        node = consumer
    if len(graph.consumers(node)) < 2 or not _fits(graph, node.name):
        return graph
    return _identity(graph, node.name, f"{node.name}_identity_conv")


def identity_for_equal_inputs(graph: Graph) -> Graph:
    """Insert one at the first input of an Add or Concatenate that reads the same tensor twice.

    QuantizeML intends the same, but skips this step because of an internal error.
    """
    for node in graph.nodes:
        if node.op in JOINS and len(node.inputs) == 2 and len(set(node.inputs)) == 1:
            source = node.inputs[0]
            if _fits(graph, source):
                name = graph.fresh_name(f"{source}_identity_conv")
                new = _convolution(graph, source, name)
                graph = inserted(graph, source, new, consumers=set())
                nodes = (
                    other.with_inputs(name, source) if other.name == node.name else other
                    for other in graph.nodes
                )
                graph = graph.with_nodes(nodes)
    return graph


def identity_for_many_consumers(graph: Graph) -> Graph:
    """Insert identities between a tensor and its consumers, until no tensor has more than two."""
    for node in graph.nodes[1:]:
        consumers = [consumer.name for consumer in graph.consumers(node.name)]
        if not _fits(graph, node.name):
            continue
        while len(consumers) > 2:
            name = graph.fresh_name(f"{node.name}_identity_conv_{len(consumers)}")
            last, last_but_one = consumers.pop(), consumers.pop()
            new = _convolution(graph, node.name, name)
            graph = inserted(graph, node.name, new, consumers={last, last_but_one})
            consumers.append(name)
    return graph


def _fits(graph, name):
    shape = graph.shapes[name]
    return len(shape) == 3 and shape[-1] <= MOST_CHANNELS


def _identity(graph, source, name):
    return inserted(graph, source, _convolution(graph, source, graph.fresh_name(name)))


def _convolution(graph, source, name):
    channels = graph.shapes[source][-1]
    kernel = np.eye(channels, dtype=np.float32)[None, None]
    attrs = {"filters": channels, "kernel_size": 1, "use_bias": False}
    return make_node(name, "Conv2D", [source], attrs, {"kernel": kernel})
