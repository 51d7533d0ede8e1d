"""How close an integer model is to its float model on images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.refine.frames import Frames, reach
from pipeline.quantization.refine.frontier import image_batch
from pipeline.quantization.refine.integer_forward import run_nodes
from pipeline.quantization.refine.legacy_forward import run_chain
from simulator.classes import classify


@dataclass(frozen=True, eq=False)
class Quality:
    """How close integer outputs are to the float model's, on held-out images.

    Attributes
    ----------
    noise : float
        Mean squared error of the outputs.
    signal : float
        Mean square of the float outputs around each output's mean over the images.
    same : bool array of shape (images,), or None
        Where the largest output is the same; None where outputs are not one per class.
    """

    noise: float
    signal: float
    same: np.ndarray | None

    def __str__(self):
        level = 10 * np.log10(max(self.signal, 1e-30) / max(self.noise, 1e-30))
        same = "" if self.same is None else f" and same class {self.same.mean():.1%}"
        return f"{level:.1f} dB{same}"


def quality(graph: Graph, quantized: QuantizedGraph, images: Frames) -> Quality:
    """Return how close an integer model is to its float model on images."""
    wanted = images.forward(graph, image_batch(graph)).reshape(len(images), -1)
    found = outputs(graph, quantized, images)
    same = None
    if wanted.shape[1] > 1 and len(graph.shapes[graph.output]) == 1:
        same = classify(found) == classify(wanted)
    noise = float(np.square(found - wanted, dtype=np.float64).mean())
    return Quality(noise, float(wanted.var(axis=0, dtype=np.float64).mean()), same)


def outputs(graph: Graph, quantized: QuantizedGraph, images: Frames) -> np.ndarray:
    """Return an integer model's outputs of images, float32 (n, values)."""
    parts = [
        _run(quantized, part)[before:]
        for before, part in images.batches(image_batch(graph), reach(graph))
    ]
    return np.concatenate(parts).reshape(len(images), -1)


def _run(quantized, part):
    if quantized.scheme == "cnn2snn":
        return run_chain(quantized, part.images)
    image, *nodes = quantized.nodes
    return run_nodes(nodes, {image.name: part.images}, part.ages)[quantized.output]
