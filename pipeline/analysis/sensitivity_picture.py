"""Picture of sensitivities: what each width of each single layer loses, the worst first."""

from __future__ import annotations

import math

from pipeline.analysis.drawing import bar_chart
from pipeline.analysis.sensitivity import Sensitivities, Sensitivity
from pipeline.analysis.table import shortened
from pipeline.analysis.widths import WEIGHTS

SHOWN = 60
"""Entries of a picture; the others lose less than all of them."""
DECADES = 5
"""Powers of ten below the largest loss that the bars show."""


def sensitivity_section(found: Sensitivities) -> str:
    """Return a section of a page."""
    ranked = found.ranked[:SHOWN]
    top = max((entry.increase for entry in ranked), default=0.0)
    rows = [
        (
            f"{shortened(entry.choice.layer)}: {'weights' if _weights(entry) else 'outputs'},"
            f" {entry.choice.bits} bits",
            _remark(entry),
            _share(entry.increase, top),
            "weights" if _weights(entry) else "outputs",
        )
        for entry in ranked
    ]
    left = len(found.entries) - len(ranked)
    rest = f" {left} others lose less." if left else ""
    return (
        "<section><h2>Sensitivities</h2><p>What one width of one layer alone loses beyond the"
        f" widest widths, on {found.images:,} images of {found.target}: Kullback-Leibler divergence"
        " from the float model, or the error's power over the variance where outputs are no"
        f" classes. A tenth of the loss is a fifth of the length less.{rest}</p>"
        '<p class="keys"><span><i class="key weights"></i>weights</span>'
        f'<span><i class="key outputs"></i>outputs</span></p>{bar_chart(rows)}</section>\n'
    )


def _weights(entry: Sensitivity) -> bool:
    return entry.choice.key == WEIGHTS


def _remark(entry: Sensitivity) -> str:
    saved = f", {entry.bytes_saved:,} bytes less" if entry.bytes_saved else ""
    return f"{max(entry.increase, 0):.2g}{saved}"


def _share(loss: float, top: float) -> float:
    """Return the length of a bar, from 0 to 1, by the logarithm of its loss."""
    if loss <= 0 or top <= 0:
        return 0.0
    return max(1 + math.log10(loss / top) / DECADES, 0.0)
