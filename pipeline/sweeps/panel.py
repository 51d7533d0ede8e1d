"""What a picture of a sweep shows: the points of one panel, with their labels and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.sweeps.names import short_names
from pipeline.sweeps.pareto import Comparison
from pipeline.sweeps.scale import far_below

UNITS = {"weight_bytes": 1024}
"""Divisor of a cost's metric in its axis."""
TITLES = {
    "weight_bytes": "weight memory on the chip, KiB",
    "effective_macs": "effective MACs per image: those of inputs other than 0",
}
ON, OFF, BESIDE = "front", "over", "beside"
"""Marks: on the front, over the chip's limits, neither."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One point of a panel.

    Attributes
    ----------
    index : int
        Of its outcome.
    x, y : float
        Cost and quality.
    label : str
        The varied values.
    mark : {"front", "over", "beside"}
    far : bool
        Far below the others, so that it does not set the scale.
    """

    index: int
    x: float
    y: float
    label: str
    mark: str
    far: bool


def spots(comparison: Comparison, cost: str) -> list[Spot]:
    """Return the points of the panel of one cost: those on the front first, then the best."""
    known = [(i, o) for i, o in enumerate(comparison.outcomes) if o.quality]
    far = far_below([outcome.quality.merit for _, outcome in known])
    found = [
        Spot(
            index=index,
            x=outcome.metrics[f"evaluate.{cost}"] / UNITS.get(cost, 1),
            y=outcome.quality.value,
            label=" ".join(outcome.changed.get(name, "") for name in comparison.varied),
            mark=_mark(comparison, cost, index),
            far=place in far,
        )
        for place, (index, outcome) in enumerate(known)
    ]
    merits = {index: outcome.quality.merit for index, outcome in known}
    return sorted(found, key=lambda spot: (spot.mark != ON, -merits[spot.index], spot.x))


def steps(found: Sequence[Spot]) -> list[tuple[float, float]]:
    """Return the front by increasing cost."""
    return sorted((spot.x, spot.y) for spot in found if spot.mark == ON)


def label_names(comparison: Comparison) -> str:
    """Return the names of the values that labels show."""
    return " ".join(short_names(comparison.varied))


def quality_title(comparison: Comparison) -> str:
    """Return the title of the vertical axis."""
    names = {o.quality.name for o in comparison.outcomes if o.quality} or {"accuracy"}
    return f"{' / '.join(sorted(names)).replace('_', ' ')} of the chip's program"


def _mark(comparison: Comparison, cost: str, index: int) -> str:
    if comparison.outcomes[index].over_limits:
        return OFF
    return ON if index in comparison.fronts[cost] else BESIDE
