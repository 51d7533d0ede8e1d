"""A picture of a sweep: accuracy against what it costs, the fronts marked."""

from __future__ import annotations

import io

from pipeline.sweeps.names import short_names
from pipeline.sweeps.pareto import COSTS, Comparison

TITLES = {"weight_bytes": "weight memory (bytes)", "effective_macs": "effective MACs per image"}
LABELLED = 24
"""More points than this are drawn without words."""


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
    panel.plot(*zip(*best, strict=True), "o-", color="C1", drawstyle="steps-post")
    if len(points) <= LABELLED:
        _label(panel, comparison, points)
    panel.set_title("front: filled and joined", fontsize=8, loc="left")
    panel.margins(0.1)


def _label(panel, comparison: Comparison, points) -> None:
    """Write what was varied beside the points; those at one place share a label."""
    places: dict[tuple, list[str]] = {}
    for index, x, y in points:
        changed = comparison.outcomes[index].changed
        values = [changed.get(name, "") for name in comparison.varied]
        places.setdefault((x, y), []).append(" ".join(values))
    for place, texts in places.items():
        panel.annotate("\n".join(texts), place, (4, 4), textcoords="offset points", fontsize=7)
    names = ", ".join(short_names(comparison.varied))
    panel.set_title(f"beside the points: {names}", fontsize=8, loc="right")
