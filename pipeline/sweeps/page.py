"""One self-contained HTML page of a sweep: accuracy against cost, and every figure; no network."""

from __future__ import annotations

from html import escape

from pipeline.messages.page_style import STYLE as COMMON
from pipeline.sweeps.chart import chart
from pipeline.sweeps.outcome import FAILED, FINISHED, REFUSED
from pipeline.sweeps.page_style import SCRIPT, STYLE
from pipeline.sweeps.panel import label_names, spots
from pipeline.sweeps.pareto import COSTS, Comparison, cells, reasons

KEYS = """\
<span class="front">&#9679; on the front: no point is better in both</span>
<span>&#9675; beaten by another point</span>
"""
OVER = '<span class="over">&#10005; over the chip\'s limits: only the emulator runs it</span>\n'
FAR = "<span>&#9662; far below, at this cost</span>\n"


def page(comparison: Comparison, name: str) -> str:
    """Return the page.

    Parameters
    ----------
    comparison : Comparison
    name : str
        Of the sweep.
    """
    title = escape(name)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{COMMON}{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{_head(comparison, title)}{_charts(comparison)}{_table(comparison)}"
        f'{_reasons(comparison)}</main>\n<div id="tip"></div>\n'
        f"<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _head(comparison: Comparison, title: str) -> str:
    counts = (
        f"{comparison.count(state)} {state}"
        for state in (FINISHED, REFUSED, FAILED)
        if comparison.count(state)
    )
    return (
        f'<header><p class="kicker">crossgrade sweep</p><h1>{title}</h1>'
        f'<p class="lead">{", ".join(counts)}</p></header>\n'
    )


def _charts(comparison: Comparison) -> str:
    found = [spot for cost in COSTS for spot in spots(comparison, cost)]
    if not found:
        return "<section><p>No point has a result.</p></section>\n"
    far = any(spot.far for spot in found)
    over = any(outcome.over_limits for outcome in comparison.outcomes)
    switches = [
        '<label><input type="checkbox" id="everything"> scale to all points</label>\n'
        if far
        else "",
        '<label><input type="checkbox" id="over" checked> points over the limits</label>\n'
        if over
        else "",
    ]
    drawn = [
        chart(comparison, cost, everything=everything)
        for cost in COSTS
        for everything in ((False, True) if far else (False,))
    ]
    return (
        "<section><h2>Accuracy against what the chip pays</h2>\n"
        f"<p>Labels: {escape(label_names(comparison))}. Point at one for its figures; click to keep"
        " it marked.</p>\n"
        f'<div class="keys">{KEYS}{OVER * over}{FAR * far}{"".join(switches)}</div>\n'
        f'<div class="charts" data-scale="near">\n{"".join(drawn)}</div></section>\n'
    )


def _table(comparison: Comparison) -> str:
    header, *rows = cells(comparison)
    lines = []
    for index, (row, outcome) in enumerate(zip(rows, comparison.outcomes, strict=True)):
        tip = "\n".join(f"{key}: {value}" for key, value in zip(header, row, strict=True) if value)
        over = " data-over" if outcome.over_limits else ""
        body = "".join(f"<td{_numeric(cell)}>{escape(cell)}</td>" for cell in row)
        lines.append(f'<tr data-point="{index}"{over} title="{escape(tip)}">{body}</tr>\n')
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    return (
        "<section><h2>Points</h2>\n<p>A click on a column sorts by it.</p>\n"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{''.join(lines)}</tbody></table></div></section>\n"
    )


def _numeric(cell: str) -> str:
    return ' class="n"' if cell[:1].isdigit() else ""


def _reasons(comparison: Comparison) -> str:
    lines = "".join(f"<li>{escape(reason)}</li>\n" for reason in reasons(comparison))
    return f"<section><h2>Without a result</h2><ul>\n{lines}</ul></section>\n" if lines else ""
