"""Plot a sweep as a PNG: accuracy against cost, with the Pareto fronts marked."""

from __future__ import annotations

import io

from pipeline.sweeps.panel import (
    BESIDE,
    OFF,
    ON,
    TITLES,
    label_names,
    quality_title,
    spots,
    steps,
)
from pipeline.sweeps.pareto import COSTS, Comparison
from pipeline.sweeps.placing import Box, place

LABELLED = 60
"""Above this number, only points on the front are labelled."""
STYLES = {
    BESIDE: {"marker": "o", "markerfacecolor": "none", "color": "C0"},
    ON: {"marker": "o", "color": "C1"},
    OFF: {"marker": "x", "color": "C3"},
}
LEGEND = {ON: "on the front", BESIDE: "beaten by another point", OFF: "over the chip's limits"}
FAR = "far below, at this cost"
MARGIN = 0.08
FONT = 7


def draw_fronts(comparison: Comparison) -> bytes:
    """Return a PNG with one panel for each cost; points on the front are filled and joined."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(COSTS), sharey=True)
    drawn = [
        (panel, _panel(panel, comparison, cost)) for panel, cost in zip(panels, COSTS, strict=True)
    ]
    figure.axes[0].set_ylabel(quality_title(comparison))
    _legend(figure, [spot for _, found in drawn for spot, _, _ in found])
    canvas.draw()  # the layout: labels are placed in pixels
    figure.set_layout_engine("none")
    for panel, found in drawn:
        _label(panel, found, canvas.get_renderer())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _panel(panel, comparison: Comparison, cost: str) -> list:
    """Draw the points; return those inside the picture, and where."""
    panel.set_xlabel(TITLES[cost])
    panel.grid(alpha=0.3)
    found = spots(comparison, cost)
    if not found:
        panel.text(0.5, 0.5, "no point has a result", ha="center", transform=panel.transAxes)
        return []
    near, far = ([s for s in found if s.far == is_far] for is_far in (False, True))
    low, high = _limits([spot.y for spot in near])
    panel.set_ylim(low, high)
    panel.set_xlim(*_limits([spot.x for spot in found]))
    if len(front := steps(found)) > 1:
        panel.plot(*zip(*front, strict=True), "-", color="C1", drawstyle="steps-post")
    for mark, style in STYLES.items():
        if some := [(spot.x, spot.y) for spot in near if spot.mark == mark]:
            panel.plot(*zip(*some, strict=True), linestyle="", **style)
    placed = [(spot, spot.x, spot.y) for spot in near]
    for spot in far:  # beyond an edge, at the height of which an arrow points to them
        edge, arrow = (low, "v") if spot.y < low else (high, "^")  # an error, the larger the worse
        panel.plot(spot.x, edge, arrow, color=STYLES[spot.mark]["color"], clip_on=False)
        placed.append((spot, spot.x, edge))
    panel.set_title(f"labels: {label_names(comparison)}", fontsize=8, loc="left")
    return placed


def _legend(figure, found) -> None:
    """Explain the marks that occur, below the panels."""
    from matplotlib.lines import Line2D

    marks = {spot.mark for spot in found}
    handles = [
        Line2D([], [], linestyle="", label=LEGEND[mark], **style)
        for mark, style in STYLES.items()
        if mark in marks
    ]
    if any(spot.far for spot in found):
        handles.append(Line2D([], [], linestyle="", marker="v", color="0.5", label=FAR))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)


def _limits(values) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or MARGIN * (abs(high) or 1)
    return low - margin, high + margin


def _label(panel, found, renderer) -> None:
    """Write the varied values beside the points, where they cover nothing."""
    from matplotlib.font_manager import FontProperties

    shown = [entry for entry in found if len(found) <= LABELLED or entry[0].mark == ON]
    texts = [f"{s.label} ({s.y:.3g})" if s.far else s.label for s, _, _ in shown]
    at = [panel.transData.transform((x, y)) for _, x, y in shown]
    font, height = FontProperties(size=FONT), panel.figure.bbox.height

    def box(part) -> Box:
        """Return the place of a part of the picture, counted from its top."""
        return Box(part.x0, height - part.y1, part.x1, height - part.y0)

    sizes = [renderer.get_text_width_height_descent(text, font, False)[:2] for text in texts]
    places = place([(x, height - y) for x, y in at], sizes, box(panel.bbox))
    for text, point, free in zip(texts, at, places, strict=True):
        if free is not None:
            panel.annotate(
                text,
                point,
                (free.left, height - free.bottom),
                xycoords="figure pixels",
                textcoords="figure pixels",
                fontproperties=font,
                arrowprops={"arrowstyle": "-", "color": "0.75", "lw": 0.6, "shrinkB": 4},
            )
    if left_out := places.count(None) + len(found) - len(shown):
        panel.set_title(f"{left_out} without room for a label", fontsize=8, loc="right")
