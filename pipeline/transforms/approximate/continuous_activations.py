"""Replace activations with steps, which the 1.0 tools train, by ReLUs that any tool quantizes."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.traits import KEEPS_VALUES, NEURAL
from pipeline.transforms.rewrite import Rewrite

GAIN = 64.0
"""Of a 1-bit activation's slope; a power of two, so that scaled weights are exact."""
MEASURED = 256
"""Images on which activations are compared."""
BETWEEN = ("MaxPooling2D", "GlobalAveragePooling2D", *KEEPS_VALUES)


def continuous_activations(graph: Graph, options=None, images=None) -> Rewrite:
    """Replace activations with steps by ReLUs of the same maximum.

    A ReLU passes through the middle of the steps, so that a value changes by half a step at most;
    the next quantization adds new steps. A 1-bit activation is a threshold: the layer before it
    is scaled so that a steep ReLU replaces it, equal to it except in a band of 1/64 of the
    maximum around the threshold.

    Parameters
    ----------
    graph : Graph
        As read from a file quantized by cnn2snn.
    options
        Not used.
    images : Images, optional
        Where the change of each activation is measured.
    """
    thresholds, changed = {}, {}
    for node in graph.nodes:
        if node.op != "QuantizedReLU":
            continue
        bits, maximum = node.attrs["bits"], node.attrs["max_value"]
        changed[node.name] = {"bits": bits, "step": maximum / (2**bits - 1)}
        layer = _layer_before(graph, node) if bits == 1 else None
        if layer is not None:
            thresholds[layer.name] = maximum / 2
            changed[node.name]["gain"] = GAIN

    def split(node):
        if node.name in thresholds:
            return [_steep(node, thresholds[node.name])]
        if node.name in changed:
            attrs = {"max_value": float(node.attrs["max_value"])}
            return [make_node(node.name, "ReLU", node.inputs, attrs)]
        return None

    new = graph.rewrite(split)
    if images is not None and changed:
        _measure(graph, new, images.images[:MEASURED], changed)
    return Rewrite(
        graph=new,
        changed=tuple(changed),
        equivalent=not changed,
        details={"activations": changed} if changed else {},
    )


def _layer_before(graph, node):
    """Return the neural layer that feeds `node` and nothing else, or None."""
    layer = graph.skip_back(node.inputs[0], BETWEEN)
    return layer if layer.op in NEURAL and graph.skip_ahead(layer, BETWEEN) is node else None


def _steep(node, threshold):
    """Return the layer with outputs stretched around `threshold`."""
    key = node.operation.output_kernel
    kernel = node.weights[key]
    size = node.attrs.get("filters") or node.attrs.get("units") or kernel.shape[2]
    bias = node.weights.get("bias", np.zeros(size, np.float32))
    shifted = (bias.astype(np.float64) - threshold) * GAIN + threshold
    return node.with_attrs(use_bias=True).with_weights(
        **{key: kernel * np.float32(GAIN), "bias": shifted.astype(np.float32)}
    )


def _measure(graph, new, images, changed):
    """Add how far each activation moved from the one with steps, in steps: mean and largest."""
    old = {}

    def remember(name, values):
        if name in changed:
            old[name] = values

    def compare(name, values):
        if name in changed:
            found = np.abs(values - old[name]) / np.float32(changed[name]["step"])
            changed[name]["mean_steps"] = float(found.mean())
            changed[name]["largest_steps"] = float(found.max(initial=0))

    forward(graph, images, probe=remember, batch_size=len(images))
    forward(new, images, probe=compare, batch_size=len(images))
