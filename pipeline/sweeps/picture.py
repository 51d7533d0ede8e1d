"""Plot a sweep: accuracy against cost, with the Pareto fronts marked."""

from __future__ import annotations

import io

from pipeline.sweeps.names import short_names
from pipeline.sweeps.pareto import COSTS, Comparison

TITLES = {"weight_bytes": "weight memory (bytes)", "effective_macs": "effective MACs per image"}
CLOSE = 0.06
"""Fraction of an axis within which labels would overlap."""
LABELLED = 24
"""Above this number, points are drawn without labels."""


def draw_fronts(comparison: Comparison) -> bytes:
    """Return a PNG with one panel for each cost; points on the front are filled and joined."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, cost in zip(figure.subplots(1, len(COSTS), sharey=True), COSTS, strict=True):
        _panel(panel, comparison, cost)
    names = {o.quality.name for o in comparison.outcomes if o.quality} or {"accuracy"}
    figure.axes[0].set_ylabel(f"{' / '.join(sorted(names)).replace('_', ' ')} of the emulator")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _panel(panel, comparison: Comparison, cost: str) -> None:
    points = [
        (index, outcome.metrics[f"evaluate.{cost}"], outcome.quality.value)
        for index, outcome in enumerate(comparison.outcomes)
        if outcome.quality
    ]
    panel.set_xlabel(TITLES[cost])
    panel.grid(alpha=0.3)
    if not points:
        panel.text(0.5, 0.5, "no point has a result", ha="center", transform=panel.transAxes)
        return
    best = sorted((x, y) for index, x, y in points if index in comparison.fronts[cost])
    every = [(x, y) for _, x, y in points]
    panel.plot(*zip(*every, strict=True), "o", markerfacecolor="none", color="C0")
    if best:
        panel.plot(*zip(*best, strict=True), "o-", color="C1", drawstyle="steps-post")
    over = [(x, y) for index, x, y in points if comparison.outcomes[index].over_limits]
    if over:
        panel.plot(*zip(*over, strict=True), "x", color="C3")
    if len(points) <= LABELLED:
        _label(panel, comparison, points)
    crossed = "; crossed: over the chip's limits" if over else ""
    panel.set_title(f"front: filled and joined{crossed}", fontsize=8, loc="left")
    panel.margins(0.1)


def _label(panel, comparison: Comparison, points) -> None:
    """Label the points with the varied values; close points share a label, best first."""
    for group in neighbours(points):
        changed = [comparison.outcomes[index].changed for index, _, _ in group]
        lines = [" ".join(one.get(name, "") for name in comparison.varied) for one in changed]
        right = group[0][1] > max(x for _, x, _ in points) - CLOSE * _extent(points, 1)
        panel.annotate(
            "\n".join(lines),
            group[0][1:],
            (-7 if right else 7, -4),
            textcoords="offset points",
            fontsize=7,
            ha="right" if right else "left",
            va="top",
        )
    names = ", ".join(short_names(comparison.varied))
    panel.set_title(f"beside the points: {names}", fontsize=8, loc="right")


def neighbours(points) -> list[list[tuple[int, float, float]]]:
    """Return points (index, x, y) in groups too close for a label each, the highest one first."""
    wide, high = CLOSE * _extent(points, 1), CLOSE * _extent(points, 2)
    groups: list[list[tuple[int, float, float]]] = []
    for point in sorted(points, key=lambda point: (-point[2], point[1])):
        for group in groups:
            _, x, y = group[0]
            if abs(point[1] - x) <= wide and abs(point[2] - y) <= high:
                group.append(point)
                break
        else:
            groups.append([point])
    return groups


def _extent(points, axis: int) -> float:
    values = [point[axis] for point in points]
    return max(values) - min(values)
