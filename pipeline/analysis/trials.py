"""Try widths of one model on the emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.budget import Cost, cost
from pipeline.analysis.score import Score, score
from pipeline.analysis.sensitivity import Sensitivities, fitting
from pipeline.analysis.suffix import backend_of_many
from pipeline.analysis.variants import Variants
from pipeline.analysis.widths import Choice, Site
from pipeline.errors import ConfigError
from pipeline.graph.forward import forward
from simulator import Program, simulate
from simulator.classes import classify


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """Widths that were found, verified on the emulator.

    Attributes
    ----------
    widths : dict of (node, key) to int
        Of every site.
    choices : tuple of Choice
        Those other than the widest, by which the program is quantized.
    score : Score
    predicted : float
        Sum of the single increases of loss.
    cost : Cost
    program : Program
        As the search quantized the model: `Search` without refinement.
    """

    widths: dict[Site, int]
    choices: tuple[Choice, ...]
    score: Score
    predicted: float
    cost: Cost
    program: Program


class Trials:
    """Widths of one model, tried on the emulator.

    Parameters
    ----------
    variants : Variants
    sensitivities : Sensitivities
        Of the same model.
    images, labels
        Those of the sensitivities.
    backend : str
        Of the emulator.
    progress : function of str, optional
        Called with a line for each step of a repair.
    """

    def __init__(
        self,
        variants: Variants,
        sensitivities: Sensitivities,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        backend: str = "auto",
        progress: Callable[[str], None] = lambda text: None,
    ):
        self.variants, self.sensitivities = variants, sensitivities
        self.images, self.labels = images, labels
        self.backend = backend_of_many(backend, variants.base, len(images))
        self.progress = progress
        self.wanted = forward(variants.graph, images)
        self.losses: dict[Site, dict[int, float]] = {
            site: {allowed[-1]: 0.0} for site, allowed in variants.sites.items()
        }
        for entry in sensitivities.entries:
            self.losses[entry.choice.site][entry.choice.bits] = max(entry.increase, 0.0)

    def verified(self, widths: Mapping[Site, int]) -> Found | None:
        """Return widths with the emulator's score and the program's cost; None beyond a limit.

        Parameters
        ----------
        widths : mapping of (node, key) to int
            Sites without an entry have their widest width.
        """
        widths = self._whole(widths)
        choices = self.choices(widths)
        program, _ = fitting(self.variants, choices)
        if program is None:
            return None
        outputs = simulate(program, self.images, backend=self.backend)
        return Found(
            widths=widths,
            choices=choices,
            score=self.score(outputs),
            predicted=sum(self.losses[site][bits] for site, bits in widths.items()),
            cost=cost(program),
            program=program,
        )

    def choices(self, widths: Mapping[Site, int]) -> tuple[Choice, ...]:
        """Return the widths other than the widest."""
        return tuple(
            Choice(layer=site[0], key=site[1], bits=bits)
            for site, bits in widths.items()
            if bits != self._allowed[site][-1]
        )

    def score(self, outputs: np.ndarray) -> Score:
        """Return how far outputs are from the float model's."""
        return score(self.wanted, outputs, self.labels)

    def uniform(self, bits: int | None = None) -> Found | None:
        """Return one width for all kernels and outputs that take it; the widest without one."""
        return self.verified(
            {site: bits for site, options in self.losses.items() if bits in options}
        )

    def smallest(self) -> Found | None:
        """Return the narrowest widths; None if they exceed a limit of the chip together."""
        return self.verified({site: min(options) for site, options in self.losses.items()})

    def lost(self, found: Found) -> float:
        """Return the loss of accuracy; without labels the share of images whose class changes."""
        if found.score.agreement is None:
            raise ConfigError("a largest loss needs outputs that are one per class; give a budget")
        if self.labels is None:
            return 1 - found.score.agreement
        return float(np.mean(classify(self.wanted) == self.labels)) - found.score.accuracy

    @property
    def _allowed(self) -> dict[Site, tuple[int, ...]]:
        return self.variants.sites

    def _whole(self, widths: Mapping[Site, int]) -> dict[Site, int]:
        """Return the width of each site, the widest where none is given."""
        return {site: widths.get(site, allowed[-1]) for site, allowed in self._allowed.items()}
