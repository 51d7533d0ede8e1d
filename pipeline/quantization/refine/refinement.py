"""Refine a calibrated model, and keep it only if held-out images say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.messages.notes import REFINED, WARNING, Note
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.refine.frontier import Frontier
from pipeline.quantization.refine.integer_forward import run_nodes
from pipeline.quantization.refine.sequence import Sequence
from simulator.classes import classify

HELD_OUT = 5
"""One image in so many, the last ones, is held out."""
FEWEST, FEW = 10, 100
"""Images without which nothing is refined, and below which a user should add some."""


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


def refine(
    graph: Graph,
    calibrated: CalibratedGraph,
    samples: np.ndarray,
    options,
    progress: Callable[[int, int], None],
) -> CalibratedGraph:
    """Return a calibrated model whose integers are closer to the float model.

    Parameters
    ----------
    graph : Graph
        Prepared float graph, before equalization.
    calibrated : CalibratedGraph
        Of that graph, by today's rule.
    samples : array of shape (n, *input shape)
        Calibration images; the last fifth is held out.
    options : Quantization
    progress : function of (layers done, layers in all)

    Returns
    -------
    CalibratedGraph
        `calibrated` itself, but for a note, where the model cannot be refined, or is not better
        on the held-out images.
    """
    if obstacle := _obstacle(graph, samples):
        return _noted(calibrated, f"not refined: {obstacle}")
    count = len(samples) - max(len(samples) // HELD_OUT, 2)
    fit, held = samples[:count], samples[count:]
    sequence = Sequence(graph, calibrated, fit, held, options.calibration.seed)
    refined = sequence.run(progress)
    before, after = (_quality(graph, integerize(model), held) for model in (calibrated, refined))
    figures = f"output to noise on {len(held)} held-out images: {before} -> {after}"
    if not _better(before, after):
        return _noted(calibrated, f"not refined, which would not help; {figures}")
    layers = tuple(dict.fromkeys(sequence.changed))
    refined = _noted(refined, f"refined on {count} images; {figures}", layers)
    if len(samples) < FEW:
        text = (
            f"refined and judged on only {len(samples)} calibration images; give {FEW} or more, of"
            " different sources, the last ones of sources of their own"
        )
        return _noted(refined, text, level=WARNING)
    return refined


def _better(before: Quality, after: Quality) -> bool:
    """Return whether outputs are closer, and not clearly more classes change.

    Of few images, or of images between two classes, one or two change either way: two standard
    deviations of their number are no evidence.
    """
    if not after.noise < before.noise:
        return False
    if before.same is None:
        return True
    lost = np.count_nonzero(before.same & ~after.same)
    gained = np.count_nonzero(after.same & ~before.same)
    return bool(lost - gained <= 2 * np.sqrt(lost + gained))


def _obstacle(graph: Graph, samples) -> str | None:
    """Return why a model cannot be refined."""
    if len(samples) < FEWEST:
        return f"found {len(samples)} calibration images; it takes at least {FEWEST}"
    for node in graph.nodes:
        if node.operation.temporal:
            return f"{node.name} ({node.op}) remembers past images"
        if node.attrs.get("dilation_rate", (1, 1)) != (1, 1) or node.attrs.get("groups", 1) != 1:
            return f"{node.name} ({node.op}) has a dilation or groups"
    return None


def _noted(calibrated, text, layers=(), **level) -> CalibratedGraph:
    note = Note(kind=REFINED, text=text, layers=layers, **level)
    return replace(calibrated, notes=(*calibrated.notes, note))


def _quality(graph: Graph, quantized: QuantizedGraph, images: np.ndarray) -> Quality:
    """Return how close an integer model is to its float model on images."""
    size = Frontier(graph, images[:0]).batch
    wanted = forward(graph, images, batch_size=size).reshape(len(images), -1)
    parts = [
        _outputs(quantized, images[start : start + size]) for start in range(0, len(images), size)
    ]
    found = np.concatenate(parts).reshape(len(images), -1)
    same = None
    if wanted.shape[1] > 1 and len(graph.shapes[graph.output]) == 1:
        same = classify(found) == classify(wanted)
    noise = float(np.square(found - wanted, dtype=np.float64).mean())
    return Quality(noise, float(wanted.var(axis=0, dtype=np.float64).mean()), same)


def _outputs(quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    image, *nodes = quantized.nodes
    return run_nodes(nodes, {image.name: images})[quantized.output]
