"""One self-contained HTML page of an analysis: pictures, layers, causes, cost; no network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pipeline.analysis.analysis import Analysis
from pipeline.analysis.causes import GOOD
from pipeline.analysis.cost import LayerCost
from pipeline.analysis.drawing import histogram, layer_graph, line_chart
from pipeline.analysis.layer_analysis import LayerAnalysis
from pipeline.analysis.page_style import STYLE
from pipeline.analysis.table import decibels
from pipeline.messages.page_style import STYLE as COMMON
from pipeline.messages.saturation import HARMLESS

FAIR = 20.0
"""Decibels below which a layer is marked as bad: a tenth of the signal is noise."""


def page(analysis: Analysis, costs: Mapping[str, LayerCost] | None = None, limits=()) -> str:
    """Return the page.

    Parameters
    ----------
    analysis : Analysis
    costs : mapping of str to LayerCost, optional
        By block, from a program.
    limits : iterable of str
        Exceeded limits of the chip.
    """
    body = "".join(
        (
            _head(analysis, costs),
            _depth(analysis),
            _findings(analysis),
            _graph(analysis),
            _layers(analysis, costs or {}),
            _limits(limits),
            _histograms(analysis),
        )
    )
    return _document(analysis.model, body)


def empty_page(model: str, reason: str) -> str:
    """Return the page of a model that was not analysed."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in reason.splitlines())
    return _document(model, f"{_title(model)}<section><h2>Not analysed</h2>{lines}</section>\n")


def _document(model: str, body: str) -> str:
    title = escape(f"{model}: what quantization costs")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{COMMON}{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _title(model: str) -> str:
    return f'<header><p class="kicker">crossgrade analyze</p><h1>{escape(model)}</h1></header>\n'


def _head(analysis: Analysis, costs) -> str:
    cards = [
        ("output to noise", f"{decibels(analysis.decibels)} dB", f"{analysis.images:,} images")
    ]
    if analysis.agreement is not None:
        cards.append(("same class as the float model", f"{analysis.agreement:.2%}", ""))
    if analysis.accuracy is not None:
        small = f"float {analysis.float_accuracy:.2%}"
        cards.append(("accuracy", f"{analysis.accuracy:.2%}", small))
    if costs:
        size = sum(cost.weight_bytes for cost in costs.values())
        macs = sum(cost.macs for cost in costs.values())
        cards.append(("weights", f"{size / 1024:,.1f} KiB", f"{macs:,} MACs per image"))
    return (
        _title(analysis.model)
        + '<section class="cards">'
        + "".join(
            f'<div class="card"><p>{escape(name)}</p><strong>{escape(value)}</strong>'
            f"<small>{escape(small)}</small></div>"
            for name, value, small in cards
        )
        + "</section>\n"
    )


def _depth(analysis: Analysis) -> str:
    layers = analysis.layers
    series = {
        "own error": [layer.isolated.decibels for layer in layers],
        "with all layers before": [layer.cumulative.decibels for layer in layers],
    }
    keys = "".join(
        f'<span><i class="key c{n}"></i>{escape(name)}</span>' for n, name in enumerate(series)
    )
    chart = line_chart([layer.name for layer in layers], series)
    return (
        "<section><h2>Error along the depth</h2><p>Signal to quantization noise in decibels,"
        " higher is better; numbers are those of the layers below.</p>"
        f'<p class="keys">{keys}</p>{chart}</section>\n'
    )


def _findings(analysis: Analysis) -> str:
    rows = [
        f'<tr><td class="name"><code>{escape(layer.name)}</code></td>'
        f'<td class="n">{decibels(layer.isolated.decibels)}</td>'
        f"<td>{escape(layer.finding.cause)}</td><td>{escape(layer.finding.remedy)}</td></tr>"
        for layer in analysis.worst_first
        if layer.finding.remedy
    ]
    if not rows:
        text = f"No layer has an error of its own worth mending (below {GOOD:.0f} dB)."
        return f"<section><h2>Causes</h2><p>{text}</p></section>\n"
    heads = "<tr><th>layer</th><th>own dB</th><th>cause</th><th>remedy</th></tr>"
    return f"<section><h2>Causes, worst first</h2>{_table(heads, rows)}</section>\n"


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


def _layers(analysis: Analysis, costs: Mapping[str, LayerCost]) -> str:
    heads = (
        "<tr><th>#</th><th>layer</th><th>own dB</th><th>total dB</th><th>cosine</th>"
        "<th>largest error</th><th>shift</th><th>weights' share</th><th>cut off</th><th>dead</th>"
        "<th>SMAPE</th><th>zeros</th><th>weights, bytes</th><th>MACs</th></tr>"
    )
    rows = []
    for place, layer in enumerate(analysis.layers, 1):
        cost = costs.get(layer.name)
        cells = (
            decibels(layer.isolated.decibels),
            decibels(layer.cumulative.decibels),
            f"{layer.cumulative.cosine:.4f}",
            f"{layer.cumulative.largest:.3g}",
            f"{layer.isolated.bias:.0%}",
            f"{layer.weights_share:.0%}",
            _share(layer.clipped),
            f"{layer.dead:.0%}",
            f"{layer.cumulative.smape:.3f}",
            f"{layer.zeros:.0%}",
            "" if cost is None else f"{cost.weight_bytes:,}",
            "" if cost is None else f"{cost.macs:,}",
        )
        rows.append(
            f'<tr><td class="n">{place}</td><td class="name"><code>{escape(layer.name)}</code><br>'
            f"<small>{escape(layer.type)}</small></td>"
            + "".join(f'<td class="n">{cell}</td>' for cell in cells)
            + "</tr>"
        )
    return f"<section><h2>Figures</h2>{_table(heads, rows)}</section>\n"


def _share(share: float) -> str:
    """Return a share of values beyond the range, marked where it matters."""
    kind = "bad" if share > HARMLESS else "good"
    return f'<span class="badge {kind}">{share:.2%}</span>'


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
            figures.append(
                f"<figure>{histogram(values, low, high, f'{what} of {layer.name}')}"
                f"<figcaption>{escape(layer.name)}, {what}</figcaption></figure>"
            )
    return (
        "<section><h2>Integers</h2><p>How often each integer occurs, over the width of the"
        f' register.</p><div class="small">{"".join(figures)}</div></section>\n'
    )


def _table(heads: str, rows: list[str]) -> str:
    return (
        f'<div class="scroll"><table><thead>{heads}</thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )
