"""Measure, layer by layer, what quantization costs: alone, and with all layers before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.blocks import Matched
from pipeline.analysis.error import Error, ErrorSums
from pipeline.analysis.layer_analysis import LayerAnalysis, LayerSums
from pipeline.analysis.program_blocks import MatchedProgram
from pipeline.analysis.quantized_blocks import MatchedQuantized
from pipeline.chips import convert, newest_for
from pipeline.errors import DataError, IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.traits import TEMPORAL
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program
from simulator.classes import classify
from simulator.refusal import Refusal

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
    model: QuantizedGraph | Program,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    each: bool = False,
) -> Analysis:
    """Compare a quantized model or a program with its float model on images, layer by layer.

    Parameters
    ----------
    graph : Graph
        The float model that was quantized.
    model : QuantizedGraph or Program
        Temporal models, and those of scheme cnn2snn, are analysed as programs.
    images : array of shape (n, *input shape)
        For temporal models, frames of one stream.
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
    matched = _matched(graph, model, each=each)
    sums = {block.name: LayerSums(block) for block in matched.blocks if block.computes}
    size, outputs, floats = _batch_size(matched.graph), [], {}

    def probe(name: str, values: np.ndarray) -> None:
        floats[name] = values
        if name != matched.graph.nodes[-1].name:
            return
        start = sum(map(len, outputs))
        batch = np.asarray(images[start : start + size])
        for step in matched.run(batch):
            sums[step.block.name].add(step, floats[step.block.end])
        outputs.append(matched.outputs)
        if progress is not None:
            progress(start + len(batch), len(images))

    wanted = forward(matched.graph, images, batch_size=size, probe=probe)
    found, faults = np.concatenate(outputs), matched.unexpected()
    return Analysis(
        model=graph.name,
        images=len(images),
        layers=tuple(total.result(matched, faults) for total in sums.values()),
        decibels=_output_error(wanted, found).decibels,
        **_scores(matched.graph, wanted, found, labels),
    )


def _matched(graph: Graph, model: QuantizedGraph | Program, *, each: bool) -> Matched:
    """Match by nodes where every one can be run alone, else by the layers of a program."""
    if not isinstance(model, Program):
        temporal = any(node.op in TEMPORAL for node in model.nodes)
        if model.scheme == "quantizeml" and not temporal:
            return MatchedQuantized(graph, model, each=each)
        model = convert(model, newest_for(model.scheme))
    if each:
        refusal = Refusal(
            found="single layers",
            allowed="blocks",
            fix="analyse it in blocks, which is the default",
        )
        raise IncompatibleModelError(graph.name, [refusal], "be analysed")
    return MatchedProgram(graph, model)


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
