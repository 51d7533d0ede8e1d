"""Find widths by what models lose after they are refined, which single layers do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.analysis.score import SMALLEST
from pipeline.analysis.search import Search
from pipeline.analysis.trials import Found
from pipeline.analysis.widths import Choice, Site
from pipeline.errors import IncompatibleModelError
from simulator import simulate

NEXT = 2
"""Combinations after the best that are refined as well: their predictions differ little."""


class RefinedSearch(Search):
    """A search whose models are refined before they are judged.

    Refinement takes back most of what narrow weights lose, and less of what narrow outputs do. The
    losses of single layers, measured without it, are therefore scaled: each kind of width is
    refined once with all layers that have it, and its layers share what the model then loses. The
    integer program's best combinations are refined too, and the emulator decides.

    Parameters are those of `Search`.
    """

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.plain = self.losses
        self._made: dict[tuple[Choice, ...], Found | None] = {}
        self.losses = self._scaled()

    def within(self, budget: Mapping[str, float]) -> Found:
        """Return the widths that lose least within a budget; errors as `Search.within`."""
        best = self._required(budget)
        found = [best, *self._uniform_within(budget)]
        tried = [best.widths]
        for _ in range(NEXT):
            other = self._solved(budget, without=tried)
            if other is None:
                break
            tried.append(other.widths)
            found.append(other)
        return min(found, key=lambda one: one.score.loss)

    def verified(self, widths: Mapping[Site, int]) -> Found | None:
        """Return widths with the score of the refined model; None where a register is too narrow.

        The program and its score are those that ``quantize`` gives with these widths.
        """
        plain = super().verified(widths)
        if plain is None:
            return None
        if plain.choices not in self._made:
            self._made[plain.choices] = self._refined(plain)
        return self._made[plain.choices]

    def _refined(self, plain: Found) -> Found | None:
        try:
            program = self.variants.refined(plain.choices)
        except IncompatibleModelError:
            return None
        score = self.score(simulate(program, self.images, backend=self.backend))
        self.progress(
            f"refined {len(self._made) + 1}: {plain.cost.weight_bytes:,} bytes of weights, loss"
            f" {plain.score.loss:.5f} to {score.loss:.5f}"
        )
        return replace(plain, score=score, program=program)

    def _repaired(self, found: Found, budget: Mapping[str, float]) -> Found:
        """Return `found`: losses measured around it would be those of layers as they are now."""
        return found

    def _scaled(self) -> dict[Site, dict[int, float]]:
        """Return the losses of single layers, such that those of a kind sum to its refined loss."""
        base = self.uniform()
        kinds = {(key, bits) for (_, key), options in self.plain.items() for bits in options}
        factors = {kind: self._factor(*kind, base) for kind in sorted(kinds)}
        return {
            site: {bits: loss * factors[site[1], bits] for bits, loss in options.items()}
            for site, options in self.plain.items()
        }

    def _factor(self, key: str, bits: int, base: Found | None) -> float:
        """Return the refined loss of one width of all weights or outputs, over the plain one."""
        widths = {
            site: bits
            for site, options in self.plain.items()
            if site[1] == key and bits in options and bits != max(options)
        }
        plain = sum(self.plain[site][bits] for site in widths)
        found = self.verified(widths) if plain > SMALLEST and base is not None else None
        if found is None:
            return 1.0
        return max(found.score.loss - base.score.loss, SMALLEST) / plain


SEARCHES = {"layers": RefinedSearch, "none": Search}
"""By ``quantization.refine``: what judges widths as they will be quantized."""
