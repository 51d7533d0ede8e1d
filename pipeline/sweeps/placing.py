"""Places for the labels of points that cover neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

DISTANCES = (7.0, 15.0, 25.0, 38.0, 54.0)
DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Where a label is tried: beside its point, then farther; y counts downwards."""
GAP = 3.0
POINT = 4.0
"""Half the size of a point."""


class Box(NamedTuple):
    """A rectangle, from its upper left to its lower right corner."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Return True if the two have a point in common, or nearly."""
        return (
            self.left < other.right + GAP
            and other.left < self.right + GAP
            and self.top < other.bottom + GAP
            and other.top < self.bottom + GAP
        )

    def holds(self, other: Box) -> bool:
        """Return True if `other` is inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    area: Box,
) -> list[Box | None]:
    """Return a place for each label; None where there is none left.

    Parameters
    ----------
    points : sequence of (x, y)
        In the order of their importance.
    sizes : sequence of (width, height)
        Of their labels, in the same units.
    area : Box
        What the labels must not leave.
    """
    taken = [Box(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in points]
    found: list[Box | None] = []
    for point, size in zip(points, sizes, strict=True):
        free = (
            box
            for box in _candidates(point, size)
            if area.holds(box) and not any(box.overlaps(other) for other in taken)
        )
        found.append(box := next(free, None))
        if box is not None:
            taken.append(box)
    return found


def _candidates(point, size):
    """Yield the boxes around a point, the nearest first."""
    (x, y), (width, height) = point, size
    for distance in DISTANCES:
        for across, down in DIRECTIONS:
            left = x + across * distance - {1: 0, 0: width / 2, -1: width}[across]
            top = y + down * distance - {1: 0, 0: height / 2, -1: height}[down]
            yield Box(left, top, left + width, top + height)
