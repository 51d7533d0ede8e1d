"""Two analyses of one float model as one table, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analysis.analysis import Analysis
from pipeline.analysis.layer_analysis import LayerAnalysis
from pipeline.analysis.page_beside import layer_pairs
from pipeline.analysis.table import aligned, decibels, headline, shortened

HEADER = ("layer", "bits", "own dB", "total dB", "bits", "own dB", "total dB", "gain")


def beside_text(found: Sequence[Analysis], names: Sequence[str]) -> str:
    """Return the figures of both models, and a table of their layers, largest differences first."""
    lines = []
    for analysis, name in zip(found, names, strict=True):
        lines += [f"{name}:", *(f"  {line}" for line in headline(analysis))]
    pairs = sorted(layer_pairs(*found), key=lambda pair: -abs(_gap(*pair[1:]) or 0.0))
    rows = [HEADER]
    for name, first, second in pairs:
        gap = _gap(first, second)
        cells = (*_cells(first), *_cells(second), "" if gap is None else f"{gap:+.1f}")
        rows.append((shortened(name), *cells))
    return "\n".join([*lines, "", *aligned(rows)])


def _cells(layer: LayerAnalysis | None) -> tuple[str, ...]:
    if layer is None:
        return "", "", ""
    return (
        f"{layer.weight_bits or '-'}/{layer.output_bits or '-'}",
        decibels(layer.isolated.decibels),
        decibels(layer.cumulative.decibels),
    )


def _gap(first: LayerAnalysis | None, second: LayerAnalysis | None) -> float | None:
    """Return by how many decibels the second model's own error is smaller."""
    if first is None or second is None:
        return None
    return second.isolated.decibels - first.isolated.decibels
