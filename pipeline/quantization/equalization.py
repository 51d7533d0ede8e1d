"""Cross-layer equalization: make every channel use its whole integer range.

A channel with largest value r is quantized with a power-of-two scale. If it is rescaled so that r
is just below the largest power of two up to r, all its codes are used; the output scale register
holds the factor, and the next layer's kernel is divided by it. The rules, and the layers that
qualify, are those of QuantizeML 1.2.5 (``calibrate``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL, RESHAPES, TEMPORAL
from pipeline.quantization.calibrated_graph import OutputQuantizer
from pipeline.quantization.fixed_point import floor_log2

_SKIPPED = ("Dropout", "MaxPooling2D", "GlobalAveragePooling2D")


def equalize(
    graph: Graph, quantizers: Mapping[str, OutputQuantizer]
) -> tuple[Graph, dict[str, OutputQuantizer]]:
    """Equalize every quantized output whose only consumer is a layer with a kernel.

    Parameters
    ----------
    graph : Graph
        Prepared float graph.
    quantizers : mapping of str to OutputQuantizer
        Output quantizers by node, with their calibrated ranges.

    Returns
    -------
    graph : Graph
        With the next layers' kernels divided.
    quantizers : dict of str to OutputQuantizer
        With new ranges and factors; unchanged for outputs that are not equalized.
    """
    equalized = dict(quantizers)
    divided: dict[str, Node] = {}
    for name, quantizer in quantizers.items():
        # The sum of an Add is only shifted: it has no output scale to hold a factor.
        if graph.node(name).op == "Add":
            continue
        found = next_layer(graph, name, per_tensor=quantizer.per_tensor)
        range_max = quantizer.range_max
        ideal = ideal_range(range_max, quantizer.bits)
        if found is None or (ideal == range_max).all():
            continue
        dead = ideal == 0
        rate = np.where(dead, 1, ideal) / np.where(dead, 1, range_max)
        equalized[name] = replace(quantizer, range_max=ideal, rescaling_rate=rate)
        consumer, flattened = found
        divided[consumer.name] = divide_kernel(consumer, rate, flattened)
    nodes = (divided.get(node.name, node) for node in graph.nodes)
    return graph.with_nodes(nodes), equalized


def ideal_range(range_max: np.ndarray, bits: int) -> np.ndarray:
    """Return the largest `bits`-bit value below the largest power of two up to a range.

    Parameters
    ----------
    range_max : float32 array
    bits : int
        Width of the quantizer, counted without a sign.

    Returns
    -------
    float32 array
        ``(2**bits - 1) * 2**(floor(log2(range_max)) - bits)``; 0 where the range is 0.
    """
    return np.ldexp(np.float32(2**bits - 1), floor_log2(range_max) - bits)


def next_layer(graph: Graph, name: str, *, per_tensor: bool) -> tuple[Node, tuple | None] | None:
    """Find the layer whose kernel can absorb a factor of the output of `name`.

    Returns
    -------
    (Node, shape) or None
        The layer, and the shape before flattening if its input was flattened with a scale per
        channel.
    """
    node, reshaped, shape = graph.sole_consumer(name), False, None
    while node is not None and node.op not in NEURAL:
        if node.op in RESHAPES and not per_tensor:
            if reshaped:
                return None
            reshaped, shape = True, graph.shapes[node.inputs[0]]
            if graph.shapes[node.name][-1] == shape[-1]:
                shape = None
        elif node.op not in (*_SKIPPED, *(RESHAPES if per_tensor else ())):
            return None
        node = graph.sole_consumer(node)
    if node is None or node.attrs.get("groups", 1) != 1:
        return None
    if not per_tensor and node.op in TEMPORAL:
        return None
    if shape is not None and node.op != "Dense":
        return None
    return node, shape


def divide_kernel(node: Node, rate: np.ndarray, flattened: tuple | None) -> Node:
    """Return a layer whose kernel is divided by a factor of its input.

    Parameters
    ----------
    node : Node
    rate : float32 array of shape () or (channels,)
        The factor.
    flattened : tuple of int or None
        Shape of the input before a Flatten, see `next_layer`.
    """
    operation = node.operation
    key = operation.input_kernel
    kernel = node.weights[key]
    if flattened is not None:
        wide = kernel.reshape(*flattened, kernel.shape[-1]) / rate[:, None]
        return node.with_weights(**{key: wide.reshape(kernel.shape)})
    rate = operation.per_input(kernel, rate) if rate.ndim else rate
    return node.with_weights(**{key: kernel / rate})


def scale_filters(node: Node, factors: np.ndarray) -> Node:
    """Return a layer with its outputs multiplied by a factor per channel.

    Parameters
    ----------
    node : Node
        A layer with a kernel.
    factors : float32 array of shape (channels,)
    """
    operation = node.operation
    key = operation.output_kernel
    kernel = node.weights[key]
    kernel = kernel * operation.per_output(kernel, factors)
    bias = {"bias": node.weights["bias"] * factors} if "bias" in node.weights else {}
    return node.with_weights(**{key: kernel}, **bias)
