"""How much a model loses when one layer alone has another width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.analysis.suffix import SharedPrefix
from pipeline.analysis.widths import ACTIVATION, WEIGHTS, Choice, choices, current
from pipeline.chips import convert
from pipeline.errors import DataError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation import prepare
from pipeline.quantization.assignment import Assignment, assign
from pipeline.quantization.calibrated_graph import NodeQuantization
from pipeline.quantization.calibration import observe, with_ranges
from pipeline.quantization.integerize import integerize
from pipeline.quantization.samples import check_samples
from simulator import Program
from simulator.classes import classify

SMALLEST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Score:
    """How far outputs are from the float model's.

    Attributes
    ----------
    loss : float
        Mean Kullback-Leibler divergence of the classes' probabilities from the float model's, in
        nats; for other outputs, the error's power over their variance.
    agreement : float or None
        Share of images with the same class.
    accuracy : float or None
        With labels.
    """

    loss: float
    agreement: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What one width costs in one layer, with all others at 8 bits.

    Attributes
    ----------
    choice : Choice
    score : Score
    increase : float
        Loss beyond that of 8 bits everywhere.
    bytes_saved : int
        Weight memory less than with 8 bits.
    layers_run : int
        Layers of the program that were run for it.
    """

    choice: Choice
    score: Score
    increase: float
    bytes_saved: int
    layers_run: int


@dataclass(frozen=True, kw_only=True)
class Sensitivities:
    """The sensitivities of a model.

    Attributes
    ----------
    model, target : str
    images : int
    base : Score
        With 8 bits everywhere.
    weight_bytes : int
        With 8 bits everywhere.
    entries : tuple of Sensitivity
        In the order of the model.
    """

    model: str
    target: str
    images: int
    base: Score
    weight_bytes: int
    entries: tuple[Sensitivity, ...]

    @property
    def ranked(self) -> list[Sensitivity]:
        """The entries, those that lose most first."""
        return sorted(self.entries, key=lambda entry: -entry.increase)


class Variants:
    """Programs of one model that differ in widths, from one calibration.

    Parameters
    ----------
    graph : Graph
        Float model.
    samples : array of shape (n, *input shape)
        Calibration images.
    options : Quantization
        Of scheme quantizeml, with all widths at 8 bits.
    target : str
        Name of the chip.
    """

    def __init__(self, graph: Graph, samples: np.ndarray, options, target: str):
        samples = check_samples(graph, samples)
        self.graph, _ = prepare(graph)
        self.options, self.target = options, target
        self.assignment = assign(self.graph, options, graph)
        self.observed = observe(self.graph, self.assignment, samples, options)
        self.base = self.program(())

    @property
    def ends(self) -> dict[str, str]:
        """By layer of the program, the node whose output width is the layer's."""
        found, owner = {}, ""
        for name, node in self.assignment.nodes.items():
            owner = name if name in self.base.by_name else owner
            if node.output is not None:
                found[owner] = name
        return found

    def program(self, changes: tuple[Choice, ...]) -> Program:
        """Return the program with some widths changed."""
        nodes = dict(self.assignment.nodes)
        for choice in changes:
            nodes[choice.layer] = _changed(self.graph, choice, nodes[choice.layer])
        assignment = Assignment(nodes=nodes, input=self.assignment.input)
        calibrated = with_ranges(self.graph, assignment, self.observed, self.options)
        return convert(integerize(calibrated), self.target)

    def choices(self) -> list[Choice]:
        """Return every width that differs from the base."""
        activated = {
            name
            for name, node in self.assignment.nodes.items()
            if node.output is not None and _activated(self.graph, name)
        }
        found = choices(self.base, self.assignment, activated)
        return [c for c in found if not current(self.assignment.nodes[c.layer], c)]


def measure(
    variants: Variants,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivities:
    """Return what each allowed width of each single layer costs.

    Parameters
    ----------
    variants : Variants
    images : array of shape (n, *input shape)
        Not those of calibration.
    labels : int array of shape (n,), optional
    backend : str
        Of the emulator.
    progress : function of (widths done, widths in all), optional

    Raises
    ------
    DataError
        If there are no images, or labels of another number.
    """
    if not len(images) or (labels is not None and len(labels) != len(images)):
        found = f"{len(images)} images" + ("" if labels is None else f", {len(labels)} labels")
        raise DataError(f"found {found}; give at least one image, and a label for each")
    wanted = forward(variants.graph, images)
    prefix = SharedPrefix(variants.base, images, backend)
    base, todo = score(wanted, prefix.outputs, labels), variants.choices()
    size, entries = _weight_bytes(variants.base), []
    for done, choice in enumerate(todo, 1):
        program = variants.program((choice,))
        outputs, layers = prefix.run(program)
        found = score(wanted, outputs, labels)
        entries.append(
            Sensitivity(
                choice=choice,
                score=found,
                increase=found.loss - base.loss,
                bytes_saved=size - _weight_bytes(program),
                layers_run=layers,
            )
        )
        if progress is not None:
            progress(done, len(todo))
    return Sensitivities(
        model=variants.graph.name,
        target=variants.target,
        images=len(images),
        base=base,
        weight_bytes=size,
        entries=tuple(entries),
    )


def score(wanted: np.ndarray, outputs: np.ndarray, labels=None) -> Score:
    """Return how far outputs are from the float model's.

    Parameters
    ----------
    wanted, outputs : arrays of shape (n, ...)
        Logits of the float model and of a program.
    labels : int array of shape (n,), optional
    """
    outputs = outputs.reshape(wanted.shape).astype(np.float64)
    if wanted.ndim > 2 or wanted.shape[-1] < 2:
        noise = np.square(outputs - wanted).mean()
        return Score(loss=float(noise / max(wanted.var(axis=0).mean(), SMALLEST)))
    expected, found = _log_softmax(wanted.astype(np.float64)), _log_softmax(outputs)
    divergence = (np.exp(expected) * (expected - found)).sum(axis=-1).mean()
    classes = classify(outputs)
    return Score(
        loss=float(divergence),
        agreement=float(np.mean(classes == classify(wanted))),
        accuracy=None if labels is None else float(np.mean(classes == labels)),
    )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _changed(graph: Graph, choice: Choice, node: NodeQuantization) -> NodeQuantization:
    if choice.key == WEIGHTS:
        return replace(node, weight_bits=choice.bits)
    relu = choice.key == ACTIVATION and graph.node(choice.layer).op == "ReLU"
    output = replace(node.output, bits=choice.bits, signed=not relu or choice.bits >= 8)
    return replace(node, output=output)


def _activated(graph: Graph, name: str) -> bool:
    node = graph.node(name)
    if node.op == "GlobalAveragePooling2D":
        node = graph.skip_back(node, ("GlobalAveragePooling2D", "MaxPooling2D"))
    return node.op in ("ReLU", "Activation")


def _weight_bytes(program: Program) -> int:
    return sum(layer.weight_bytes for layer in program.layers)
