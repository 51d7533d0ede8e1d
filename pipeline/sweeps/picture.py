"""A picture of a sweep: accuracy against what it costs, the fronts marked."""

from __future__ import annotations

import io

from pipeline.sweeps.outcome import FINISHED
from pipeline.sweeps.pareto import COSTS, Comparison, short_names

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
    figure.axes[0].set_ylabel("accuracy of the emulator")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _panel(panel, comparison: Comparison, cost: str) -> None:
    points = [
        (i, o.metrics[f"evaluate.{cost}"], o.metrics["evaluate.accuracy"])
        for i, o in enumerate(comparison.outcomes)
        if o.state == FINISHED
    ]
    panel.set_xlabel(TITLES[cost])
    panel.grid(alpha=0.3)
    if not points:
        panel.text(0.5, 0.5, "no point has a result", ha="center", transform=panel.transAxes)
        return
    on_front = sorted((x, y) for i, x, y in points if i in comparison.fronts[cost])
    panel.scatter(
        *zip(*((x, y) for _, x, y in points), strict=True), facecolors="none", edgecolors="C0"
    )
    panel.plot(
        *zip(*on_front, strict=True), "o-", color="C1", drawstyle="steps-post", label="front"
    )
    names = short_names(comparison.varied)
    if len(points) <= LABELLED:
        places: dict[tuple, list[str]] = {}
        for index, x, y in points:
            changed = comparison.outcomes[index].changed
            pairs = zip(names, comparison.varied, strict=True)
            text = " ".join(f"{short}={changed.get(name, '')}" for short, name in pairs)
            places.setdefault((x, y), []).append(text)
        for place, texts in places.items():
            panel.annotate("\n".join(texts), place, (3, 3), textcoords="offset points", fontsize=6)
    panel.legend(loc="lower right")
