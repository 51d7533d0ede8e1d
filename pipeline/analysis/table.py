"""An analysis as text, at most 100 columns wide, worst layers first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pipeline.analysis.analysis import Analysis
from pipeline.analysis.layer_analysis import LayerAnalysis
from pipeline.messages.lines import wrapped

LONGEST = 34
CUT = "…"
HEADER = ("layer", "bits", "own dB", "total dB", "cosine", "shift", "cut off", "dead", "channel")
LEGEND = (
    "own: the layer's error on the inputs that it gets; total: with all layers before; shift: share"
    " of the error that moves whole channels; cut off: outputs beyond the range; channel: the worst"
    " one, with its share of the error"
)


def analysis_text(analysis: Analysis) -> str:
    """Return the figures of the model, a table of its layers, and causes with remedies."""
    layers = analysis.worst_first
    lines = [*headline(analysis), "", *aligned([HEADER, *map(_row, layers)])]
    lines += [wrapped(LEGEND, ""), ""]
    for layer in layers:
        if layer.finding.remedy or layer.faults:
            lines.append(wrapped(f"{layer.name}: {layer.finding.cause}", ""))
            lines.append(wrapped(layer.finding.remedy, "    "))
    return "\n".join(lines).rstrip()


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def headline(analysis: Analysis) -> list[str]:
    """Return the lines on the whole model."""
    lines = [
        f"{analysis.model}: output to noise {decibels(analysis.decibels)} dB on"
        f" {analysis.images:,} images"
    ]
    if analysis.agreement is not None:
        lines.append(f"same class as the float model: {analysis.agreement:.2%}")
    if analysis.accuracy is not None:
        lines.append(
            f"accuracy: float {analysis.float_accuracy:.2%}, quantized {analysis.accuracy:.2%}"
        )
    return lines


def analysis_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON values, layers in the order of the model."""
    values = dataclasses.asdict(analysis)
    values["worst_first"] = [layer.name for layer in analysis.worst_first]
    return values


def _row(layer: LayerAnalysis) -> tuple[str, ...]:
    own = layer.isolated
    worst = own.channels[0] if own.channels else None
    return (
        shortened(layer.name),
        f"{layer.weight_bits or '-'}/{layer.output_bits or '-'}",
        decibels(own.decibels),
        decibels(layer.cumulative.decibels),
        f"{layer.cumulative.cosine:.4f}",
        f"{own.bias:.0%}",
        f"{layer.clipped:.2%}",
        f"{layer.dead:.0%}",
        "-" if worst is None else f"{worst[0]} ({worst[1]:.0%})",
    )


def decibels(value: float) -> str:
    """Return decibels for a table; exact outputs have none."""
    return "exact" if value >= 200 else f"{value:.1f}"


def shortened(text: str) -> str:
    """Return a name of at most `LONGEST` characters."""
    if len(text) <= LONGEST:
        return text
    kept = LONGEST - len(CUT)
    return text[: kept - kept // 2] + CUT + text[len(text) - kept // 2 :]
