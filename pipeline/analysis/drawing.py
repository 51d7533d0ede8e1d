"""Pictures as SVG text that takes its colours from the page: no library, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 1000
ROW, BOX = 40, 30
TOP = 60.0
"""Decibels at the top of the chart: beyond that, nobody sees an error."""
BOTTOM = -10.0
MOST_LABELS = 24
MOST_LEVELS = 32
"""Levels of a histogram that get a line each."""


def line_chart(names: Sequence[str], series: dict[str, Sequence[float | None]], height=260) -> str:
    """Return a chart of decibels over the layers.

    Parameters
    ----------
    names : sequence of str
        Of the layers; shown when the pointer rests on a point.
    series : dict of str to sequence of float or None
        Legend to values, at most three; None where there is none.
    """
    left, right, low = 46, WIDTH - 14, height - 30
    step = (right - left) / max(len(names) - 1, 1)

    def x(place: int) -> float:
        return left + step * place if len(names) > 1 else (left + right) / 2

    def y(value: float) -> float:
        share = (min(max(value, BOTTOM), TOP) - BOTTOM) / (TOP - BOTTOM)
        return low - share * (low - 16)

    parts = []
    for value in range(int(BOTTOM) + 10, int(TOP) + 1, 20):
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(value):.1f}"'
                     f' y2="{y(value):.1f}"/>'
                     f'<text class="axis" x="{left - 8}" y="{y(value) + 4:.1f}"'
                     f' text-anchor="end">{value}</text>')  # fmt: skip
    every = -(-len(names) // MOST_LABELS)
    for place in range(0, len(names), every):
        parts.append(
            f'<text class="axis" x="{x(place):.1f}" y="{height - 8}" text-anchor="middle">'
            f"{place + 1}</text>"
        )
    for number, (legend, values) in enumerate(series.items()):
        known = [(n, value) for n, value in enumerate(values) if value is not None]
        points = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in known)
        parts.append(f'<polyline class="line c{number}" points="{points}"/>')
        for n, value in known:
            title = f"{n + 1} {names[n]}: {legend} {value:.1f} dB"
            parts.append(
                f'<circle class="dot c{number}" cx="{x(n):.1f}" cy="{y(value):.1f}" r="4">'
                f"<title>{escape(title)}</title></circle>"
            )
    return _svg(WIDTH, height, parts, "decibels by layer")


def histogram(counts: Sequence[int], low: int, high: int, title: str, height=70) -> str:
    """Return bars of counts; the lowest and the highest integer below them."""
    width, top = 220, max(max(counts), 1)
    step = width / len(counts)
    bars = [
        f'<rect class="bar" x="{step * n:.2f}" width="{max(step - 0.4, 0.4):.2f}"'
        f' y="{height - 14 - (height - 18) * count / top:.1f}"'
        f' height="{(height - 18) * count / top:.1f}"/>'
        for n, count in enumerate(counts)
        if count
    ]
    levels = high - low + 1
    if levels <= MOST_LEVELS:
        bars[:0] = [
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{height - 14}"/>'
            for x in (width * n / levels for n in range(levels + 1))
        ]
    bars.append(f'<line class="grid" x1="0" x2="{width}" y1="{height - 14}" y2="{height - 14}"/>')
    bars.append(f'<text class="axis" x="0" y="{height - 2}">{low}</text>')
    bars.append(f'<text class="axis" x="{width}" y="{height - 2}" text-anchor="end">{high}</text>')
    return _svg(width, height, bars, title)


def bar_chart(rows: Sequence[tuple[str, str, float, str]]) -> str:
    """Return horizontal bars, one below the other.

    Parameters
    ----------
    rows : sequence of (label, remark, share, class)
        Text at the left and at the right, length from 0 to 1, and a class of the style sheet.
    """
    left, right, row = 360, 220, 26
    room = WIDTH - left - right
    parts = []
    for place, (label, remark, share, kind) in enumerate(rows):
        y, length = row * place + 3, max(room * share, 1)
        parts.append(
            f'<text class="axis" x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(label)}'
            f'</text><rect class="bar {kind}" x="{left}" y="{y}" width="{length:.1f}"'
            f' height="{row - 6}" rx="3"/><text class="axis" x="{left + length + 8:.1f}"'
            f' y="{y + 15}">{escape(remark)}</text>'
        )
    return _svg(WIDTH, row * len(rows) + 4, parts, "bars")


def layer_graph(rows: Sequence[tuple[str, str, str, Sequence[int]]]) -> str:
    """Return boxes of layers from top to bottom, joined by lines.

    Parameters
    ----------
    rows : sequence of (label, remark, class, sources)
        Of each layer: its text, a text at the right, a class of the style sheet, and the places of
        the layers that it reads.
    """
    box, left = 560, 120
    parts = []
    for place, (_, _, _, sources) in enumerate(rows):
        for source in sources:
            parts.append(_edge(source, place, left))
    for place, (label, remark, kind, _) in enumerate(rows):
        y = ROW * place + 4
        parts.append(
            f'<rect class="box {kind}" x="{left}" y="{y}" width="{box}" height="{BOX}" rx="6"/>'
            f'<text class="label" x="{left + 12}" y="{y + 20}">{escape(label)}</text>'
            f'<text class="axis" x="{left + box + 14}" y="{y + 20}">{escape(remark)}</text>'
        )
    return _svg(WIDTH, ROW * len(rows) + 8, parts, "graph of the layers")


def _edge(source: int, place: int, left: int) -> str:
    """Return the line between two layers: straight, or around those between them."""
    start, end = ROW * source + 4 + BOX, ROW * place + 4
    if place == source + 1:
        return f'<line class="edge" x1="{left + 40}" x2="{left + 40}" y1="{start}" y2="{end}"/>'
    reach = min(24 + 8 * (place - source), left - 10)
    upper, lower = start - BOX // 2, end + BOX // 2
    return (
        f'<path class="edge" d="M {left} {upper} C {left - reach} {upper},'
        f' {left - reach} {lower}, {left} {lower}"/>'
    )


def _svg(width, height, parts, title) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
