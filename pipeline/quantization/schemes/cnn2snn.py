"""The scheme of Akida 1.0: abs-max kernels, float biases, activations in equal steps.

Symmetric weights with one factor per filter (depthwise: per tensor); a ReLU of b bits has ``2**b -
1`` equal steps up to its maximum, ties rounded down. No calibration is needed: the ReLUs' maxima
are the ranges of activations (cnn2snn's legacy ``quantize``, Apache-2.0). Refining, which needs
images, finds better ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np

from pipeline.errors import IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.messages.notes import Note
from pipeline.preparation import PASSES_V1
from pipeline.preparation.head import cut_head
from pipeline.preparation.verification import random_images, verified
from pipeline.quantization.calibration import Progress
from pipeline.quantization.integerize_legacy import LAYERS, SAME_UNIT, integerize_legacy
from pipeline.quantization.layer_choices import ACTIVATION, WEIGHTS, LayerChoices
from pipeline.quantization.legacy_graph import LegacyGraph, WeightQuantizer
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.refine import refine_legacy
from pipeline.quantization.refine.legacy_registers import refusals
from pipeline.quantization.samples import check_samples
from simulator.limit import size
from simulator.refusal import Refusal


def quantize(
    graph: Graph, samples: np.ndarray | None, options, progress: Progress | None = None
) -> QuantizedGraph:
    """Quantize a float graph for Akida 1.0.

    Parameters
    ----------
    graph : Graph
        Float model as trained; separable convolutions fused.
    samples : array of shape (n, *input shape), or None
        Images in the dtype of the model's input; only refining takes any.
    options : Quantization
        ``input_weight_bits``, ``weight_bits``, ``activation_bits`` and ``refine`` are used.

    Raises
    ------
    IncompatibleModelError
        If the scheme does not support a layer, or no register holds its threshold or step; lists
        all of them.
    """
    source = graph
    graph, notes = prepared(source)
    model = discrete(graph, options, notes, source)
    quantized = integerize_legacy(model)
    progress = progress or (lambda done, total: None)
    if options.refine != "none":
        samples = check_samples(graph, samples)
        model = refine_legacy(graph, model, samples, options, progress)
        quantized = integerize_legacy(model)
    progress(1, 1)
    if refused := list(refusals(model)):
        raise IncompatibleModelError(graph.name, refused, "quantize by the scheme cnn2snn")
    return quantized


def prepared(graph: Graph) -> tuple[Graph, tuple[Note, ...]]:
    """Return an equivalent graph that is ready to be quantized, and what was changed."""
    outline(graph)
    graph, notes = cut_head(graph)
    images = random_images(graph)
    for change in PASSES_V1:
        graph = verified(change, graph, images)
    return graph, tuple(notes)


def outline(graph: Graph) -> Graph:
    """Return the graph that `prepared` returns, without verifying that its outputs are the same.

    Raises
    ------
    IncompatibleModelError
        If the scheme does not support layers; lists all of them.
    """
    graph = reduce(lambda before, change: change(before), PASSES_V1, cut_head(graph)[0])
    if refused := list(_unsupported(graph)):
        raise IncompatibleModelError(graph.name, refused, "quantize by the scheme cnn2snn")
    return graph


def legacy(graph: Graph, options) -> LegacyGraph:
    """Return the prepared graph with its weight quantizers and discrete activations."""
    made, notes = prepared(graph)
    return discrete(made, options, notes, graph)


def discrete(graph: Graph, options, notes: tuple[Note, ...], source: Graph) -> LegacyGraph:
    """Return a prepared graph with its weight quantizers and discrete activations.

    `source` is the graph before it was prepared, whose names choices for single layers may use.
    """
    choices = LayerChoices(options.layers, graph, source)
    quantizers = _weight_quantizers(graph, options, choices)

    def levels(node):
        if node.op != "ReLU":
            return None
        bits = choices.bits(node, ACTIVATION, options.activation_bits)
        largest = node.attrs["max_value"]
        attrs = {"bits": bits, "max_value": float(2**bits - 1 if largest is None else largest)}
        return [make_node(node.name, "QuantizedReLU", node.inputs, attrs)]

    discretized = graph.rewrite(levels)
    if refused := choices.refusals():
        raise IncompatibleModelError(graph.name, refused, "quantize by the scheme cnn2snn")
    return LegacyGraph(graph=discretized, quantizers=quantizers, notes=notes)


def _weight_quantizers(graph, options, choices) -> dict[tuple[str, str], WeightQuantizer]:
    quantizers = {}
    bits = options.input_weight_bits
    for node in graph.nodes:
        if node.op not in LAYERS:
            continue
        chosen = choices.bits(node, WEIGHTS, bits)
        for name in node.operation.kernels:
            kind = "max" if name == "depthwise_kernel" else "max_per_axis"
            quantizers[node.name, name] = WeightQuantizer(bits=chosen, range=kind)
        bits = options.weight_bits
    return quantizers


def _unsupported(graph: Graph) -> Iterator[Refusal]:
    """Yield a refusal for every layer that the scheme does not support."""
    known = (*LAYERS, *SAME_UNIT, "Input", "Rescaling", "ReLU")
    for node in graph.nodes:
        attrs = node.attrs
        if node.op not in known:
            found, allowed = f"{node.op} has no Akida 1.0 form", f"known layers: {', '.join(known)}"
        elif node.op == "ReLU" and (attrs["negative_slope"] or attrs["threshold"]):
            found, allowed = "a ReLU with negative_slope or threshold", "0 for both"
        elif attrs.get("depth_multiplier", 1) != 1 or attrs.get("groups", 1) != 1:
            found, allowed = "a depth_multiplier or groups", "1 for both"
        elif attrs.get("dilation_rate", (1, 1)) != (1, 1):
            found, allowed = f"dilation {size(attrs['dilation_rate'])}", "1x1"
        else:
            continue
        yield Refusal(layers=(node.name,), found=found, allowed=allowed, rule="scheme_layer")
