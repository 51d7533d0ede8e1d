"""One page of two models beside each other: the same float model, other integers."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pipeline.analysis.analysis import Analysis
from pipeline.analysis.cost import LayerCost
from pipeline.analysis.drawing import line_chart
from pipeline.analysis.layer_analysis import LayerAnalysis
from pipeline.analysis.page import Side, cards, document, keys, title
from pipeline.analysis.page_tables import html_table
from pipeline.analysis.table import decibels

Pair = tuple[str, LayerAnalysis | None, LayerAnalysis | None]
SAME = 0.5
"""Decibels of difference below which two layers count as equal."""


CHARTS = (("The layers' own error", "isolated"), ("With all layers before", "cumulative"))


def page_beside(sides: tuple[Side, Side]) -> str:
    """Return the page of two analyses of one float model on the same images."""
    names = tuple(side.name for side in sides)
    pairs = layer_pairs(*(side.analysis for side in sides))
    heading = f"{sides[0].analysis.model}: {names[0]} beside {names[1]}"
    body = "".join(
        (
            title(heading),
            *(f"<h2>{escape(side.name)}</h2>{cards(side.analysis, side.costs)}" for side in sides),
            _depth(pairs, names),
            _layers(pairs, sides),
            _causes(pairs, sides),
            *map(_limits, sides),
        )
    )
    return document(heading, body)


def layer_pairs(a: Analysis, b: Analysis) -> list[Pair]:
    """Return the layers of two models by name, in the order of the first; None where one lacks it.

    A layer that is the end of a longer block of the other model has no counterpart there.
    """
    known = {layer.name: layer for layer in b.layers}
    pairs = [(layer.name, layer, known.pop(layer.name, None)) for layer in a.layers]
    return [*pairs, *((name, None, layer) for name, layer in known.items())]


def _depth(pairs, names) -> str:
    charts = []
    for what, kind in CHARTS:
        series = {
            name: [_decibels(pair[place], kind) for pair in pairs]
            for place, name in enumerate(names, 1)
        }
        chart = line_chart([name for name, _, _ in pairs], series)
        charts.append(
            f"<section><h2>{what}</h2><p>Signal to quantization noise in decibels, higher is"
            f' better; numbers are those of the layers below.</p><p class="keys">{keys(series)}</p>'
            f"{chart}</section>\n"
        )
    return "".join(charts)


def _decibels(layer: LayerAnalysis | None, kind: str) -> float | None:
    return None if layer is None else getattr(layer, kind).decibels


def _layers(pairs, sides: tuple[Side, Side]) -> str:
    first, second = (escape(side.name) for side in sides)
    heads = (
        '<tr><th rowspan="2">#</th><th rowspan="2">layer</th>'
        + "".join(
            f'<th colspan="2">{what}</th>'
            for what in ("bits", "own dB", "total dB", "cut off", "weights, bytes")
        )
        + f"</tr><tr>{f'<th>{first}</th><th>{second}</th>' * 5}</tr>"
    )
    rows = []
    for place, (name, *both) in enumerate(pairs, 1):
        cells = []
        for show in (_bits, _own, _total, _clipped):
            cells += ["" if layer is None else show(layer) for layer in both]
        cells += [_bytes(side.costs, name) for side in sides]
        rows.append(
            f'<tr class="{_better(both)}"><td class="n">{place}</td>'
            f'<td class="name"><code>{escape(name)}</code></td>'
            + "".join(f'<td class="n">{cell}</td>' for cell in cells)
            + "</tr>"
        )
    return f"<section><h2>Layers</h2>{html_table(heads, rows)}</section>\n"


def _causes(pairs, sides: tuple[Side, Side]) -> str:
    rows = [
        f'<tr><td class="name"><code>{escape(name)}</code></td><td>{escape(side.name)}</td>'
        f"<td>{escape(layer.finding.cause)}</td>"
        f'<td class="name">{escape(layer.finding.remedy)}</td></tr>'
        for name, *both in pairs
        for side, layer in zip(sides, both, strict=True)
        if layer is not None and layer.finding.remedy
    ]
    heads = "<tr><th>layer</th><th>model</th><th>cause</th><th>remedy</th></tr>"
    return f"<section><h2>Causes</h2>{html_table(heads, rows)}</section>\n" if rows else ""


def _bits(layer: LayerAnalysis) -> str:
    return f"{layer.weight_bits or '-'}/{layer.output_bits or '-'}"


def _own(layer: LayerAnalysis) -> str:
    return decibels(layer.isolated.decibels)


def _total(layer: LayerAnalysis) -> str:
    return decibels(layer.cumulative.decibels)


def _clipped(layer: LayerAnalysis) -> str:
    return f"{layer.clipped:.2%}"


def _bytes(costs: Mapping[str, LayerCost], name: str) -> str:
    return f"{costs[name].weight_bytes:,}" if name in costs else ""


def _better(both) -> str:
    """Return the class of a row: which model has the smaller error of its own there."""
    if None in both:
        return ""
    gap = both[1].isolated.decibels - both[0].isolated.decibels
    return "" if abs(gap) < SAME else "second" if gap > 0 else "first"


def _limits(side: Side) -> str:
    entries = "".join(f"<li>{escape(text)}</li>" for text in side.limits)
    if not entries:
        return ""
    heading = f"Exceeded limits of the chip: {escape(side.name)}"
    return f"<section><h2>{heading}</h2><ul>{entries}</ul></section>\n"
