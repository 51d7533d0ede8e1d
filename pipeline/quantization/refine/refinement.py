"""Refine a calibrated model, and keep it only if held-out images say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.traits import KEEPS_VALUES
from pipeline.messages.notes import REFINED, WARNING, Note
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.calibration import streams
from pipeline.quantization.integerize_legacy import LAYERS
from pipeline.quantization.integers import integers
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.refine.cost import cost, total
from pipeline.quantization.refine.frames import Frames, by_video, remembers
from pipeline.quantization.refine.legacy_sequence import LegacySequence
from pipeline.quantization.refine.quality import Quality, quality
from pipeline.quantization.refine.sequence import Sequence

HELD_OUT = 5
"""One image in so many, the last ones, is held out."""
FIGURES = "output to noise on"
"""Begins the figures of every note on a refinement that was carried out."""
FEWEST, FEW = 10, 100
"""Images without which nothing is refined, and below which a user should add some."""


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
        Calibration images; the last fifth is held out. Of a model with temporal layers, frames of
        videos, one of each in turn; then the last videos are, or the end of the last one.
    options : Quantization
    progress : function of (work done, work in all)
        By the cost of each layer, so that it tells the time left.

    Returns
    -------
    CalibratedGraph
        `calibrated` itself, but for a note, where the model cannot be refined, or is not better
        on the held-out images.
    """

    def sequence(fit, held):
        return Sequence(graph, calibrated, fit, held, options.calibration.seed)

    videos = streams(graph, samples, options.calibration.batch_size)
    given = by_video(samples, videos) if remembers(graph) else Frames(samples)
    return _refined(graph, calibrated, given, None, sequence, progress)


def refine_legacy(
    graph: Graph,
    legacy: LegacyGraph,
    samples: np.ndarray,
    options,
    progress: Callable[[int, int], None],
) -> LegacyGraph:
    """Return a model of the scheme cnn2snn whose levels are closer to the float model.

    `legacy` is the prepared float graph `graph` by the scheme's rule; otherwise as `refine`.
    """

    def sequence(fit, held):
        return LegacySequence(graph, legacy, fit, held, options.calibration.seed)

    return _refined(graph, legacy, Frames(samples), _legacy_obstacle(graph), sequence, progress)


def has_run(notes: Iterable[Note]) -> bool:
    """Return whether a model was refined, be it kept or not."""
    return any(note.kind == REFINED and FIGURES in note.text for note in notes)


def _refined(graph, plain, samples, obstacle, sequence, progress):
    """Return the better one of a model and what a sequence makes of it, by held-out images."""
    if len(samples) < FEWEST:
        obstacle = f"found {len(samples)} calibration images; it takes at least {FEWEST}"
    if obstacle:
        progress(1, 1)
        return _noted(plain, f"not refined: {obstacle}")
    count = len(samples) - max(len(samples) // HELD_OUT, 2)
    fit, held = samples.split(count)
    running, work = sequence(fit, held), _Work(graph, count, len(held), progress)
    refined = running.run(work)
    before, after = (quality(graph, integers(model), held) for model in (plain, refined))
    work.finish()
    figures = f"{FIGURES} {len(held)} held-out images: {before} -> {after}"
    # A refinement that is no better may be the only form that Akida 1.0's registers hold, for
    # which alone models of its own scheme are.
    alone = isinstance(plain, LegacyGraph) or after.noise <= before.noise
    needed = running.beyond_registers and alone
    if not needed and not _better(before, after):
        return _noted(plain, f"not refined, which would not help; {figures}")
    layers = tuple(dict.fromkeys(running.changed))
    refined = _noted(refined, f"refined on {count} images; {figures}", layers)
    if len(samples) < FEW:
        text = (
            f"refined and judged on only {len(samples)} calibration images; give {FEW} or more, of"
            " different sources, the last ones of sources of their own"
        )
        return _noted(refined, text, level=WARNING)
    return refined


class _Work:
    """Reports what part of refining is done, when called with the cost of each step."""

    def __init__(self, graph, fitted: int, held: int, progress):
        self.progress, self.done = progress, 0.0
        todo = sum(cost(graph, (node,), fitted) for node in graph.nodes)
        self.total = todo + 2 * total(graph, held)

    def __call__(self, step: float) -> None:
        self.done += step
        self.progress(min(int(self.done), int(self.total)), int(self.total))

    def finish(self) -> None:
        self.progress(int(self.total), int(self.total))


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


def _legacy_obstacle(graph: Graph) -> str | None:
    """Return why a model of the scheme cnn2snn cannot be refined."""
    dtype = graph.input.attrs["dtype"]
    if not dtype.startswith(("uint", "int")):
        return f"{graph.input.name} is {dtype}, and Akida 1.0 reads integers"
    for node in graph.nodes:
        if node.op == "GlobalAveragePooling2D":
            before = graph.skip_back(node.inputs[0], KEEPS_VALUES)
            if before.op not in LAYERS:
                return f"{node.name} averages levels, which Akida 1.0 does not"
    return None


def _noted(model, text, layers=(), **level):
    note = Note(kind=REFINED, text=text, layers=layers, **level)
    return replace(model, notes=(*model.notes, note))
