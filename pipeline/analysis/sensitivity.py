"""How much a model loses when one layer alone has another width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.score import Score, score
from pipeline.analysis.suffix import SharedPrefix
from pipeline.analysis.variants import Variants
from pipeline.analysis.widths import Choice
from pipeline.errors import DataError, IncompatibleModelError
from pipeline.graph.forward import forward
from simulator import Program


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What one width costs in one layer, with all others at their widest.

    Attributes
    ----------
    choice : Choice
    score : Score
    increase : float
        Loss beyond that of the widest widths everywhere.
    bytes_saved : int
        Weight memory less than with the widest.
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
        With the widest widths everywhere.
    weight_bytes : int
        With the widest widths everywhere.
    entries : tuple of Sensitivity
        In the order of the model.
    refused : tuple of (Choice, str)
        Widths that the chip does not take in this model, with the limit that they exceed.
    """

    model: str
    target: str
    images: int
    base: Score
    weight_bytes: int
    entries: tuple[Sensitivity, ...]
    refused: tuple[tuple[Choice, str], ...] = ()

    @property
    def ranked(self) -> list[Sensitivity]:
        """The entries, those that lose most first."""
        return sorted(self.entries, key=lambda entry: -entry.increase)


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
    entries, refused = [], []
    for done, choice in enumerate(todo, 1):
        program, reason = fitting(variants, (choice,))
        if program is None:
            refused.append((choice, reason))
        else:
            outputs, layers = prefix.run(program)
            found = score(wanted, outputs, labels)
            entries.append(
                Sensitivity(
                    choice=choice,
                    score=found,
                    increase=found.loss - base.loss,
                    bytes_saved=_weight_bytes(variants.base) - _weight_bytes(program),
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
        weight_bytes=_weight_bytes(variants.base),
        entries=tuple(entries),
        refused=tuple(refused),
    )


def fitting(variants: Variants, choices) -> tuple[Program | None, str]:
    """Return the program with some widths, or None and the limit of the chip that they exceed.

    Limits that the model exceeds at its widest widths do not count.
    """
    try:
        program = variants.program(choices)
    except IncompatibleModelError as error:
        return None, str(error)
    known = set(variants.base.limits())
    exceeded = next((limit for limit in program.limits() if limit not in known), None)
    return (program, "") if exceeded is None else (None, exceeded)


def _weight_bytes(program: Program) -> int:
    return sum(layer.weight_bytes for layer in program.layers)
