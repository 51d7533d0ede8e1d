"""Replace the discrete activations of the 1.0 tools by ReLUs."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.traits import KEEPS_VALUES, NEURAL
from pipeline.transforms.rewrite import Rewrite

GAIN = 64.0
"""Slope of a 1-bit activation; a power of two, so that scaled weights are exact."""
MEASURED = 256
"""Number of images on which activations are compared."""
BETWEEN = ("MaxPooling2D", "GlobalAveragePooling2D", *KEEPS_VALUES)


def continuous_activations(graph: Graph, options=None, images=None) -> Rewrite:
    """Replace discrete activations by ReLUs of the same maximum.

    The ReLU passes through the middle of each step, so that a value changes by at most half a step;
    quantization makes it discrete again. A 1-bit activation is a threshold: the layer before it is
    scaled, and a steep ReLU replaces it, which is equal except in a band of 1/64 of the maximum
    around the threshold.

    Parameters
    ----------
    graph : Graph
        Read from a file that cnn2snn quantized.
    options
        Not used.
    images : Images, optional
        Images on which the change of each activation is measured.
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
    """Return the neural layer whose only consumer is `node`, or None."""
    layer = graph.skip_back(node.inputs[0], BETWEEN)
    return layer if layer.op in NEURAL and graph.skip_ahead(layer, BETWEEN) is node else None


def _steep(node, threshold):
    """Return the layer with its outputs scaled around `threshold`."""
    key = node.operation.output_kernel
    kernel = node.weights[key]
    size = node.attrs.get("filters") or node.attrs.get("units") or kernel.shape[2]
    bias = node.weights.get("bias", np.zeros(size, np.float32))
    shifted = (bias.astype(np.float64) - threshold) * GAIN + threshold
    return node.with_attrs(use_bias=True).with_weights(
        **{key: kernel * np.float32(GAIN), "bias": shifted.astype(np.float32)}
    )


def _measure(graph, new, images, changed):
    """Add each activation's mean and largest distance from the discrete one, in steps."""
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
