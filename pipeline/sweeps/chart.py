"""Draw one panel of a sweep as SVG, for the page: points, front, labels."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.sweeps.panel import ON, TITLES, Spot, quality_title, spots, steps
from pipeline.sweeps.pareto import Comparison
from pipeline.sweeps.placing import Box, place

WIDTH, HEIGHT = 540, 400
LEFT, TOP, RIGHT, BOTTOM = 66, 16, 526, 346
"""Edges of the plotting area in pixels."""
FONT, LETTER = 11, 6.2
"""Height of a label, and the mean width of a letter, in pixels."""
MARGIN = 0.08
RADIUS = 5


class Axes:
    """Places of values in pixels."""

    def __init__(self, across: Sequence[float], up: Sequence[float]):
        self.x, self.y = _limits(across), _limits(up)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point; one beyond the area is put on its edge."""
        low, high = self.y
        y = min(max(y, low), high)
        return (
            LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (RIGHT - LEFT),
            BOTTOM - (y - low) / (high - low) * (BOTTOM - TOP),
        )


def chart(comparison: Comparison, cost: str, *, everything: bool) -> str:
    """Return an SVG of the points over one cost.

    Parameters
    ----------
    comparison : Comparison
    cost : str
        A metric of stage ``evaluate``.
    everything : bool
        Scale to all points; else those far below the others are arrows at the edge.
    """
    found = spots(comparison, cost)
    if not found:
        return ""
    near = [spot for spot in found if everything or not spot.far]
    axes = Axes([spot.x for spot in found], [spot.y for spot in near])
    scale = "all" if everything else "near"
    body = "".join(
        (
            _grid(axes),
            _front(axes, steps(found)),
            *(_mark(axes, spot, arrow=spot not in near) for spot in found),
            _labels(axes, found),
            f'<text class="title" x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 12}"'
            f' text-anchor="middle">{escape(TITLES[cost])}</text>',
            f'<text class="title" text-anchor="middle" transform="translate(14'
            f' {(TOP + BOTTOM) / 2}) rotate(-90)">{escape(quality_title(comparison))}</text>',
        )
    )
    return (
        f'<svg class="chart" data-scale="{scale}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(TITLES[cost])}">{body}</svg>\n'
    )


def _grid(axes: Axes) -> str:
    from matplotlib.ticker import MaxNLocator

    lines = []
    for value in _inside(MaxNLocator(6).tick_values(*axes.x), axes.x):
        x, _ = axes.at(value, axes.y[0])
        lines.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>'
            f'<text x="{x:.1f}" y="{BOTTOM + 16}" text-anchor="middle">{value:,.10g}</text>'
        )
    for value in _inside(MaxNLocator(6).tick_values(*axes.y), axes.y):
        _, y = axes.at(axes.x[0], value)
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>'
        )
    return "".join(lines)


def _inside(values, limits) -> list[float]:
    return [float(value) for value in values if limits[0] <= value <= limits[1]]


def _front(axes: Axes, corners) -> str:
    if len(corners) < 2:
        return ""
    (x, y), *rest = (axes.at(*corner) for corner in corners)
    path = f"M{x:.1f} {y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in rest)
    return f'<path class="step" d="{path}"/>'


def _mark(axes: Axes, spot: Spot, *, arrow: bool) -> str:
    x, y = axes.at(spot.x, spot.y)
    r = RADIUS
    if arrow:
        way = 1 if spot.y < axes.y[0] else -1
        shape = (
            f'<path d="M{x - r:.1f} {y - way * r:.1f}h{2 * r}L{x:.1f} {y + way * r:.1f}z"'
            ' fill="currentColor"/>'
        )
    elif spot.mark == "over":
        shape = (
            f'<path d="M{x - r:.1f} {y - r:.1f}l{2 * r} {2 * r}m0 {-2 * r}l{-2 * r} {2 * r}"'
            ' fill="none" stroke="currentColor" stroke-width="2"/>'
        )
    else:
        fill = "currentColor" if spot.mark == ON else "var(--paper)"
        shape = (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{fill}" stroke="currentColor"'
            ' stroke-width="2"/>'
        )
    return (
        f'<g class="spot {spot.mark}" data-point="{spot.index}" tabindex="0">'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11" fill="transparent"/>{shape}</g>'
    )


def _labels(axes: Axes, found: Sequence[Spot]) -> str:
    at = [axes.at(spot.x, spot.y) for spot in found]
    sizes = [(LETTER * len(spot.label), FONT) for spot in found]
    places = place(at, sizes, Box(LEFT, TOP, RIGHT, BOTTOM))
    return "".join(
        f'<line class="lead" x1="{x:.1f}" y1="{y:.1f}" x2="{_nearest(x, box.left, box.right):.1f}"'
        f' y2="{_nearest(y, box.top, box.bottom):.1f}"/><text class="label {spot.mark}"'
        f' data-point="{spot.index}" x="{box.left:.1f}" y="{box.bottom - 2:.1f}">'
        f"{escape(spot.label)}</text>"
        for spot, (x, y), box in zip(found, at, places, strict=True)
        if box is not None
    )


def _nearest(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or MARGIN * (abs(high) or 1)
    return low - margin, high + margin
