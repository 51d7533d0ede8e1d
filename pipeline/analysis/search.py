"""Find widths per layer that lose least within a budget, verified and repaired on the emulator."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.budget import WEIGHT_KIB, Cost, cost
from pipeline.analysis.integer_program import IntegerProgram
from pipeline.analysis.repair import repaired
from pipeline.analysis.score import Score, score
from pipeline.analysis.sensitivity import Sensitivities, fitting
from pipeline.analysis.suffix import backend_of_many
from pipeline.analysis.variants import Variants
from pipeline.analysis.widths import WEIGHTS, Choice, Site
from pipeline.errors import ConfigError
from pipeline.graph.forward import forward
from simulator import Program, simulate
from simulator.classes import classify

STEPS = 8
"""Budgets that are tried for a largest loss: halving eight times places it to 1/256."""


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


class Search:
    """The widths of one model, its sensitivities, and images to verify on.

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

    def within(self, budget: Mapping[str, float]) -> Found:
        """Return the widths that lose least within a budget.

        The integer program chooses by the losses of single layers; one width of all weights, with
        one of all outputs, is considered as well where both are within the budget. The best of them
        is repaired greedily by the losses that the emulator measures around it.

        Parameters
        ----------
        budget : mapping of str to float
            Some of `pipeline.analysis.budget.BUDGETS`.

        Raises
        ------
        ConfigError
            If no widths are small enough; the message has the least that is possible.
        """
        given = [self._required(budget), *self._uniform_within(budget)]
        return self._repaired(min(given, key=lambda found: found.score.loss), budget)

    def least(self, loss: float) -> Found:
        """Return the smallest weights that lose at most `loss`, verified on the emulator.

        Parameters
        ----------
        loss : float
            Of accuracy against the float model with labels, else share of images whose class
            changes.

        Raises
        ------
        ConfigError
            If the widest widths lose more, or the outputs are no classes.
        """
        best = self.uniform()
        if self.lost(best) > loss:
            raise ConfigError(
                f"largest loss {loss:g}: the widest widths everywhere lose {self.lost(best):.4f} on"
                f" {len(self.images)} images; allow more"
            )
        low, high = 0.0, best.cost.weight_bytes / 1024
        for _ in range(STEPS):
            middle = (low + high) / 2
            found = self._solved({WEIGHT_KIB: middle})
            if found is not None and self.lost(found) > loss:
                found = self._repaired(found, {WEIGHT_KIB: middle})
            if found is None or self.lost(found) > loss:
                low = middle
            else:
                high, best = middle, found
        return best

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

    def _repaired(self, found: Found, budget: Mapping[str, float]) -> Found:
        return repaired(self, found, budget)

    def _required(self, budget: Mapping[str, float]) -> Found:
        """Return the integer program's choice; raise if no widths are small enough."""
        found = self._solved(budget)
        if found is None:
            raise ConfigError(self._impossible(budget))
        return found

    def _uniform_within(self, budget: Mapping[str, float]) -> list[Found]:
        """Return one width for all weights and one for all outputs, each pair in the budget."""
        pairs = itertools.product(*self._widths_by_kind())
        uniform = ({**weights, **outputs} for weights, outputs in pairs)
        found = [self.verified(widths) for widths in uniform if self._fits(widths, budget)]
        return [one for one in found if one is not None]

    def _widths_by_kind(self) -> Iterator[list[dict[Site, int]]]:
        """Yield the uniform widths of all weights, then those of all outputs."""
        for is_kind in (WEIGHTS.__eq__, WEIGHTS.__ne__):
            sites = {site: o for site, o in self.losses.items() if is_kind(site[1])}
            widths = sorted({bits for options in sites.values() for bits in options})
            yield [{s: bits for s, o in sites.items() if bits in o} for bits in widths] or [{}]

    def _fits(self, widths: Mapping[Site, int], budget: Mapping[str, float]) -> bool:
        program, _ = fitting(self.variants, self.choices(self._whole(widths)))
        return program is not None and cost(program).within(budget)

    def _whole(self, widths: Mapping[Site, int]) -> dict[Site, int]:
        """Return the width of each site, the widest where none is given."""
        return {site: widths.get(site, allowed[-1]) for site, allowed in self._allowed.items()}

    def _solved(
        self, budget: Mapping[str, float], without: Iterable[Mapping[Site, int]] = ()
    ) -> Found | None:
        """Return the integer program's choice besides those of `without`, None without any.

        Where widths exceed a limit of the chip together, the one that loses most is ruled out.
        """
        losses = {site: dict(options) for site, options in self.losses.items()}
        while True:
            program = IntegerProgram(losses, self.variants.base, self.variants.ends)
            program.within(budget)
            for known in without:
                program.exclude(known)
            widths = program.solve()
            if widths is None:
                return None
            found = self.verified(widths)
            if found is not None:
                return found
            narrow = {site: bits for site, bits in widths.items() if bits != max(losses[site])}
            worst = max(narrow, key=lambda site: losses[site][narrow[site]])
            del losses[worst][narrow[worst]]

    def _impossible(self, budget: Mapping[str, float]) -> str:
        wanted = ", ".join(f"{name}={value:g}" for name, value in budget.items())
        least = self.smallest()
        if least is None:
            return f"budget {wanted}: no widths within the chip's limits are small enough"
        have = ", ".join(f"{name}={least.cost.of(name):.6g}" for name in budget)
        return f"budget {wanted}: no widths are small enough; the smallest have {have}"
