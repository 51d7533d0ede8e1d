"""Which points of a sweep set the scale of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

FLATTENS = 0.6
"""A gap of more than this share of the range, below the best points, flattens all others."""
NOTABLE = 0.1
"""... if it is also more than this share of the best figure."""
FEWEST = 2
"""Points that stay."""


def far_below(merits: Sequence[float]) -> set[int]:
    """Return the indices of points so far below the others that a picture would only show the gap.

    Such as those at chance level beside points that differ by a percent.

    Parameters
    ----------
    merits : sequence of float
        Higher is better.
    """
    order = sorted(range(len(merits)), key=lambda index: -merits[index])
    while len(order) > FEWEST:
        span = merits[order[0]] - merits[order[-1]]
        gaps = [merits[a] - merits[b] for a, b in pairwise(order)]
        widest = max(range(len(gaps)), key=lambda index: gaps[index])
        least = max(FLATTENS * span, NOTABLE * abs(merits[order[0]]))
        if gaps[widest] <= least or widest + 1 < FEWEST:
            break
        order = order[: widest + 1]
    return set(range(len(merits))) - set(order)
