"""One self-contained HTML page of an analysis: pictures, layers, causes, cost; no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from pipeline.analysis.analysis import Analysis
from pipeline.analysis.causes import GOOD
from pipeline.analysis.cost import LayerCost, layer_costs
from pipeline.analysis.drawing import histogram, layer_graph, line_chart
from pipeline.analysis.layer_analysis import LayerAnalysis
from pipeline.analysis.page_style import STYLE
from pipeline.analysis.page_tables import error_table, html_table, value_table
from pipeline.analysis.sensitivity import Sensitivities
from pipeline.analysis.sensitivity_picture import sensitivity_section
from pipeline.analysis.table import decibels
from pipeline.messages.page_style import STYLE as COMMON
from simulator import Program

FAIR = 20.0
"""Decibels below which a layer is marked as bad: a tenth of the signal is noise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """What a page shows of one model.

    Attributes
    ----------
    name : str
        Of the file, where two are beside each other.
    analysis : Analysis
    costs : mapping of str to LayerCost
        By block, from a program.
    limits : tuple of str
        Exceeded limits of the chip.
    """

    name: str = ""
    analysis: Analysis
    costs: Mapping[str, LayerCost] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


def side(analysis: Analysis, program: Program, name: str = "") -> Side:
    """Return what a page shows of an analysed model and its program."""
    return Side(
        name=name, analysis=analysis, costs=layer_costs(program), limits=tuple(program.limits())
    )


def page(shown: Side, sensitivities: Sensitivities | None = None) -> str:
    """Return the page of one model, with its sensitivities where they were measured."""
    analysis = shown.analysis
    body = "".join(
        (
            title(analysis.model),
            cards(analysis, shown.costs),
            _depth(analysis),
            _findings(analysis),
            _graph(analysis),
            error_table(analysis),
            value_table(analysis, shown.costs),
            _limits(shown.limits),
            "" if sensitivities is None else sensitivity_section(sensitivities),
            _histograms(analysis),
        )
    )
    return document(analysis.model, body)


def empty_page(model: str, reason: str) -> str:
    """Return the page of a model that was not analysed."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in reason.splitlines())
    return document(model, f"{title(model)}<section><h2>Not analysed</h2>{lines}</section>\n")


def sensitivity_page(found: Sensitivities) -> str:
    """Return the page of sensitivities alone."""
    return document(found.model, title(found.model) + sensitivity_section(found))


def document(model: str, body: str) -> str:
    """Return a page with its styles."""
    heading = escape(f"{model}: what quantization costs")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>\n{COMMON}{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def title(model: str) -> str:
    """Return the heading of a page."""
    return f'<header><p class="kicker">crossgrade analyze</p><h1>{escape(model)}</h1></header>\n'


def cards(analysis: Analysis, costs) -> str:
    """Return the figures of a whole model."""
    shown = [
        ("output to noise", f"{decibels(analysis.decibels)} dB", f"{analysis.images:,} images")
    ]
    if analysis.agreement is not None:
        shown.append(("same class as the float model", f"{analysis.agreement:.2%}", ""))
    if analysis.accuracy is not None:
        small = f"float {analysis.float_accuracy:.2%}"
        shown.append(("accuracy", f"{analysis.accuracy:.2%}", small))
    if costs:
        size = sum(cost.weight_bytes for cost in costs.values())
        macs = sum(cost.macs for cost in costs.values())
        shown.append(("weights", f"{size / 1024:,.1f} KiB", f"{macs:,} MACs per image"))
    return (
        '<section class="cards">'
        + "".join(
            f'<div class="card"><p>{escape(name)}</p><strong>{escape(value)}</strong>'
            f"<small>{escape(small)}</small></div>"
            for name, value, small in shown
        )
        + "</section>\n"
    )


def _depth(analysis: Analysis) -> str:
    layers = analysis.layers
    series = {
        "own error": [layer.isolated.decibels for layer in layers],
        "with all layers before": [layer.cumulative.decibels for layer in layers],
    }
    chart = line_chart([layer.name for layer in layers], series)
    return (
        "<section><h2>Error along the depth</h2><p>Signal to quantization noise in decibels,"
        " higher is better; numbers are those of the layers below.</p>"
        f'<p class="keys">{keys(series)}</p>{chart}</section>\n'
    )


def keys(series) -> str:
    """Return the legend of a chart."""
    return "".join(
        f'<span><i class="key c{n}"></i>{escape(name)}</span>' for n, name in enumerate(series)
    )


def _findings(analysis: Analysis) -> str:
    rows = [
        f'<tr><td class="name"><code>{escape(layer.name)}</code></td>'
        f'<td class="n">{decibels(layer.isolated.decibels)}</td>'
        f"<td>{escape(layer.finding.cause)}</td>"
        f'<td class="name">{escape(layer.finding.remedy)}</td></tr>'
        for layer in analysis.worst_first
        if layer.finding.remedy
    ]
    if not rows:
        text = f"No layer has an error of its own worth mending (below {GOOD:.0f} dB)."
        return f"<section><h2>Causes</h2><p>{text}</p></section>\n"
    heads = "<tr><th>layer</th><th>own dB</th><th>cause</th><th>remedy</th></tr>"
    return f"<section><h2>Causes, worst first</h2>{html_table(heads, rows)}</section>\n"


def _graph(analysis: Analysis) -> str:
    places = {layer.end: place for place, layer in enumerate(analysis.layers)}
    rows = [
        (
            f"{place + 1}  {layer.name}",
            f"{layer.weight_bits or '-'}/{layer.output_bits or '-'} bits,"
            f" {decibels(layer.isolated.decibels)} dB",
            _grade(layer),
            [places[source] for source in layer.sources if source in places],
        )
        for place, layer in enumerate(analysis.layers)
    ]
    return (
        "<section><h2>Layers</h2><p>Bits of weights and output, and the layer's own error: green"
        f" from {GOOD:.0f} dB, red below {FAIR:.0f} dB or where registers are unexpected.</p>"
        f"{layer_graph(rows)}</section>\n"
    )


def _grade(layer: LayerAnalysis) -> str:
    if layer.faults or layer.isolated.decibels < FAIR:
        return "bad"
    return "good" if layer.isolated.decibels >= GOOD else "warn"


def _limits(limits) -> str:
    entries = "".join(f"<li>{escape(text)}</li>" for text in limits)
    if not entries:
        return ""
    return f"<section><h2>Exceeded limits of the chip</h2><ul>{entries}</ul></section>\n"


def _histograms(analysis: Analysis) -> str:
    figures = []
    for layer in analysis.layers:
        for what, counts in (("weights", layer.weight_counts), ("outputs", layer.output_counts)):
            if counts is None or (layer.output_bits is None and what == "outputs"):
                continue
            low, high, values = counts
            bits = layer.weight_bits if what == "weights" else layer.output_bits
            step = f", steps of {_steps(layer)}" if what == "outputs" else ""
            figures.append(
                f"<figure>{histogram(values, low, high, f'{what} of {layer.name}')}"
                f"<figcaption>{escape(layer.name)}, {bits}-bit {what}{step}</figcaption></figure>"
            )
    return (
        "<section><h2>Integers</h2><p>How often each integer occurs, over the range of the"
        " register; up to 32 levels have a line each. Steps are in units of the float model.</p>"
        f'<div class="small">{"".join(figures)}</div></section>\n'
    )


def _steps(layer: LayerAnalysis) -> str:
    low, high = layer.steps
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
