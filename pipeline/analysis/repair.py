"""Repair widths greedily by losses measured around them, where those of single layers mislead."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from pipeline.analysis.budget import WEIGHT_KIB, Cost, cost
from pipeline.analysis.sensitivity import fitting
from pipeline.analysis.suffix import SharedPrefix
from pipeline.analysis.trials import Found, Trials
from pipeline.analysis.widths import Site

ROUNDS = 10
TRIED = 6
"""Changes of a round that are verified, the most promising first."""
LEAST_GAIN = 0.01
"""Share of the loss that a change must win: less is noise of the images."""
SLACK = 1.2
"""Factor by which the summed cost of two changes may be too high: their products are not added."""
Change = dict[Site, int]


def repaired(trials: Trials, found: Found, budget: Mapping[str, float]) -> Found:
    """Return widths that lose less within a budget, or those given.

    Each round measures what every other width of every single layer would change in the model as it
    is now. Then one layer gets another width, or two layers exchange bits; the emulator verifies
    the best predictions, and the first that loses less is kept.

    Parameters
    ----------
    trials : Trials
    found : Found
        Within the budget.
    budget : mapping of str to float
    """
    for number in range(1, ROUNDS + 1):
        better = _better(trials, found, budget)
        if better is None:
            break
        trials.progress(f"repair {number}: loss {found.score.loss:.5f} to {better.score.loss:.5f}")
        found = better
    return found


def _better(trials: Trials, found: Found, budget: Mapping[str, float]) -> Found | None:
    moves = _moves(trials, found)
    candidates = [({site: bits}, gain) for (site, bits), (gain, _) in moves.items()]
    candidates += [
        (dict((a, b)), moves[a][0] + moves[b][0])
        for a, b in itertools.combinations(moves, 2)
        if a[0] != b[0] and (moves[a][0] < 0 or moves[b][0] < 0)
    ]
    enough = LEAST_GAIN * found.score.loss
    promising = sorted((c for c in candidates if c[1] < -enough), key=lambda c: c[1])
    tried = 0
    for change, _ in promising:
        if not _may_fit(found, change, moves, budget):
            continue
        made = trials.verified({**found.widths, **change})
        if made is None or not made.cost.within(budget):
            continue
        if made.score.loss < found.score.loss - enough:
            return made
        tried += 1
        if tried == TRIED:
            break
    return None


def _moves(trials: Trials, found: Found) -> dict[tuple[Site, int], tuple[float, Cost]]:
    """Return, for each other width of each site, what the loss would change by, and the cost."""
    prefix = SharedPrefix(found.program, trials.images, trials.backend)
    moves = {}
    for site, options in trials.losses.items():
        for bits in options:
            if bits == found.widths[site]:
                continue
            program, _ = fitting(trials.variants, trials.choices({**found.widths, site: bits}))
            if program is not None:
                loss = trials.score(prefix.run(program)[0]).loss
                moves[site, bits] = loss - found.score.loss, cost(program)
    return moves


def _may_fit(found: Found, change: Change, moves, budget: Mapping[str, float]) -> bool:
    """Return whether a change can be within the budget, by the sum of its single costs.

    Products of two widths and maps that exist together make the sum inexact; what may fit is
    verified.
    """
    for name, most in budget.items():
        now = found.cost.of(name)
        total = now + sum(moves[move][1].of(name) - now for move in change.items())
        if total > most * (1 if len(change) == 1 or name == WEIGHT_KIB else SLACK):
            return False
    return True
