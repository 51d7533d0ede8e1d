"""Tables of an analysis' page: errors, outputs, memory and work of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pipeline.analysis.analysis import Analysis
from pipeline.analysis.cost import LayerCost
from pipeline.analysis.layer_analysis import LayerAnalysis
from pipeline.analysis.table import decibels
from pipeline.messages.saturation import HARMLESS

ERRORS = (
    "Own: the layer's error on the inputs that it gets; total: with all layers before. Largest: the"
    " largest single error. Shift: share of the own error that moves whole channels; of weights, of"
    " outputs: shares that are in the sums already, and that rounding the output adds."
)
VALUES = (
    f"Cut off: outputs clearly beyond the range, harmless below {HARMLESS:.1%}; at the end: outputs"
    " at the last level, most of them rightly; products: outputs that saturate before they are"
    " scaled. Events: outputs per image that are not 0."
)


def error_table(analysis: Analysis) -> str:
    """Return the section with the errors of each layer."""
    heads = (
        "<tr><th>#</th><th>layer</th><th>own dB</th><th>total dB</th><th>cosine</th>"
        "<th>largest</th><th>shift</th><th>of weights</th><th>of outputs</th>"
        "<th>worst channels</th><th>SMAPE</th>"
        "</tr>"
    )
    rows = [
        _row(
            place,
            layer,
            decibels(layer.isolated.decibels),
            decibels(layer.cumulative.decibels),
            f"{layer.cumulative.cosine:.4f}",
            f"{layer.cumulative.largest:.3g}",
            f"{layer.isolated.bias:.0%}",
            *_shares(layer.weights_share),
            "<br>".join(f"{number} ({share:.0%})" for number, share in layer.isolated.channels),
            f"{layer.cumulative.smape:.3f}",
        )
        for place, layer in enumerate(analysis.layers, 1)
    ]
    return f"<section><h2>Errors</h2><p>{ERRORS}</p>{html_table(heads, rows)}</section>\n"


def value_table(analysis: Analysis, costs: Mapping[str, LayerCost]) -> str:
    """Return the section with the outputs of each layer, its memory and its work."""
    heads = (
        "<tr><th>#</th><th>layer</th><th>cut off</th><th>at the end</th>"
        "<th>products</th><th>dead channels</th>"
        "<th>zeros</th><th>events</th><th>weights, bytes</th><th>MACs</th></tr>"
    )
    rows = [
        _row(
            place,
            layer,
            share_badge(layer.clipped),
            f"{layer.isolated.saturated:.2%}",
            f"{layer.beyond:.2%}",
            f"{layer.dead:.0%}",
            f"{layer.zeros:.0%}",
            f"{layer.events:,.0f}",
            f"{costs[layer.name].weight_bytes:,}" if layer.name in costs else "",
            f"{costs[layer.name].macs:,}" if layer.name in costs else "",
        )
        for place, layer in enumerate(analysis.layers, 1)
    ]
    table = html_table(heads, rows)
    return f"<section><h2>Values, memory and work</h2><p>{VALUES}</p>{table}</section>\n"


def _row(place: int, layer: LayerAnalysis, *cells: str) -> str:
    return (
        f'<tr><td class="n">{place}</td><td class="name"><code>{escape(layer.name)}</code><br>'
        f"<small>{escape(layer.type)}</small></td>"
        + "".join(f'<td class="n">{cell}</td>' for cell in cells)
        + "</tr>"
    )


def _shares(weights: float | None) -> tuple[str, str]:
    """Return the shares of weights and of outputs in an error."""
    return ("-", "-") if weights is None else (f"{weights:.0%}", f"{1 - weights:.0%}")


def share_badge(share: float) -> str:
    """Return a share of values beyond the range, marked where it matters."""
    kind, verdict = ("bad", "too many") if share > HARMLESS else ("good", "harmless")
    return f'<span class="badge {kind}" title="{verdict}">{share:.2%} {verdict}</span>'


def html_table(heads: str, rows: list[str]) -> str:
    """Return a table that scrolls where the window is narrow."""
    return (
        f'<div class="scroll"><table><thead>{heads}</thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )
