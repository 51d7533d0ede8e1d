"""Measure, layer by layer, what quantization costs: alone, and with all layers before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.blocks import Block, Blocks, matched
from pipeline.analysis.error import Error, ErrorSums
from pipeline.analysis.expected import unexpected
from pipeline.analysis.layer_analysis import LayerAnalysis, LayerSums
from pipeline.errors import DataError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.refine.frontier import run_step
from pipeline.quantization.refine.integer_forward import (
    run_node,
    run_nodes,
    with_output_stage,
    without_output_stage,
)
from simulator.classes import classify

BATCH_BYTES = 64 << 20
"""Bytes of all float outputs of one batch."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Analysis:
    """What quantization costs a model.

    Attributes
    ----------
    model : str
    images : int
    layers : tuple of LayerAnalysis
        In the order of the model.
    decibels : float
        Signal to noise of the outputs.
    agreement : float or None
        Share of images with the same class; None where outputs are not one per class.
    float_accuracy, accuracy : float or None
        With labels.
    """

    model: str
    images: int
    layers: tuple[LayerAnalysis, ...]
    decibels: float
    agreement: float | None
    float_accuracy: float | None = None
    accuracy: float | None = None

    @property
    def worst_first(self) -> list[LayerAnalysis]:
        """Layers with unexpected registers, then those of the largest errors of their own."""
        return sorted(self.layers, key=lambda layer: (not layer.faults, layer.isolated.decibels))


def analyse(
    graph: Graph,
    quantized: QuantizedGraph,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    each: bool = False,
) -> Analysis:
    """Compare a quantized model with its float model on images, layer by layer.

    Parameters
    ----------
    graph : Graph
        The float model that was quantized.
    quantized : QuantizedGraph
    images : array of shape (n, *input shape)
    labels : int array of shape (n,), optional
        Classes of the images.
    progress : function of (images done, images in all), optional
    each : bool
        True takes every layer by itself, as QuantizeML's analysis does, instead of blocks.

    Raises
    ------
    IncompatibleModelError
        If the models do not match, or a layer cannot be analysed.
    DataError
        If there are no images, or labels of another number.
    """
    if not len(images):
        raise DataError("found no images; give at least one")
    if labels is not None and len(labels) != len(images):
        raise DataError(f"found {len(labels)} labels for {len(images)} images; give one for each")
    blocks = matched(graph, quantized, each=each)
    sums = {block.name: LayerSums(block) for block in blocks.blocks if block.computes}
    size, outputs = _batch_size(blocks.graph), []
    for start in range(0, len(images), size):
        batch = np.asarray(images[start : start + size])
        outputs.append(_run(blocks, batch, sums))
        if progress is not None:
            progress(min(start + size, len(images)), len(images))
    floats, found = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    faults = unexpected(blocks)
    layers = tuple(total.result(blocks, faults) for total in sums.values())
    return Analysis(
        model=graph.name,
        images=len(images),
        layers=layers,
        decibels=_output_error(floats, found).decibels,
        **_scores(blocks.graph, floats, found, labels),
    )


def _run(blocks: Blocks, batch: np.ndarray, sums) -> tuple[np.ndarray, np.ndarray]:
    """Add one batch to the sums of every block; return the outputs of both models."""
    floats: dict[str, np.ndarray] = {}
    forward(blocks.graph, batch, batch_size=len(batch), probe=floats.__setitem__)
    quantized = blocks.quantized
    integers = {quantized.input.name: batch}
    for node in quantized.nodes:
        if node.op == "Quantizer":
            integers[node.name] = run_node(node, batch)
    for block in blocks.blocks:
        given = {name: integers[name] for name in block.nodes[0].inputs}
        total = _sums(block, given)
        out = with_output_stage(block.end, total)
        integers[block.end.name] = out
        real = blocks.real(block.end.name, out)
        if block.name in sums:
            inputs = zip(block.floats[0].inputs, block.nodes[0].inputs, strict=True)
            alone = run_step(block.floats, {a: blocks.real(b, given[b]) for a, b in inputs})
            sums[block.name].add(alone, floats[block.end.name], total, out, real)
    last = quantized.node(quantized.output)
    outputs = run_node(last, integers[last.inputs[0]])
    return floats[blocks.graph.output], outputs


def _sums(block: Block, given) -> np.ndarray:
    """Return the block's integers before the output is quantized."""
    last = without_output_stage(block.end)
    return run_nodes((*block.nodes[:-1], last), given)[last.name]


def _batch_size(graph: Graph) -> int:
    per_image = sum(math.prod(shape) for shape in graph.shapes.values()) * 4
    return int(np.clip(BATCH_BYTES // per_image, 1, 256))


def _output_error(floats, found) -> Error:
    total = ErrorSums()
    total.add(floats, found.reshape(floats.shape), np.zeros(floats.shape, bool))
    return total.result()


def _scores(graph: Graph, floats, found, labels) -> dict:
    per_class = len(graph.shapes[graph.output]) == 1 and floats.shape[-1] > 1
    if not per_class:
        return {"agreement": None}
    classes = [classify(values.reshape(len(floats), -1)) for values in (floats, found)]
    scores = {"agreement": float(np.mean(classes[0] == classes[1]))}
    if labels is None:
        return scores
    accuracies = [float(np.mean(predicted == labels)) for predicted in classes]
    return scores | {"float_accuracy": accuracies[0], "accuracy": accuracies[1]}
