"""Find widths per layer that lose least within a budget, verified and repaired on the emulator."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from pipeline.analysis.budget import WEIGHT_KIB, cost
from pipeline.analysis.integer_program import IntegerProgram
from pipeline.analysis.repair import repaired
from pipeline.analysis.sensitivity import fitting
from pipeline.analysis.trials import Found, Trials
from pipeline.analysis.widths import WEIGHTS, Site
from pipeline.errors import ConfigError

STEPS = 8
"""Budgets that are tried for a largest loss: halving eight times places it to 1/256."""


class Search(Trials):
    """A search for widths of one model, by its sensitivities; parameters as those of `Trials`."""

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
