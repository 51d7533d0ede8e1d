"""The tables of sensitivities and of found widths, as ``sensitivity`` and ``search`` print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.analysis.score import Score
from pipeline.analysis.sensitivity import Sensitivities
from pipeline.analysis.trials import Found

GAP = "  "


def sensitivity_table(found: Sensitivities) -> str:
    """Return what each width costs as text, the largest losses first."""
    rows = [("layer", "width", "loss", "same class", "accuracy", "bytes saved")]
    for entry in found.ranked:
        width = f"{entry.choice.key}={entry.choice.bits}"
        figures = _figures(entry.increase, entry.score)
        rows.append((entry.choice.layer, width, *figures, f"{entry.bytes_saved:,}"))
    rows.append(("(widest everywhere)", "", *_figures(found.base.loss, found.base), ""))
    head = f"{found.model} on {found.target}, {found.images:,} images"
    return "\n".join([head, "", *_aligned(rows, left=2)])


def widths_table(found: Iterable[tuple[str, Found]]) -> str:
    """Return what widths cost and lose as text, a row for each."""
    rows = [
        ("", "weights, bytes", "bits multiplied", "maps, bytes", "loss", "same class", "accuracy")
    ]
    for name, one in found:
        cost = one.cost
        costs = (cost.weight_bytes, cost.macs_bits, cost.activation_bytes)
        rows.append((name, *(f"{n:,}" for n in costs), *_figures(one.score.loss, one.score)))
    return "\n".join(_aligned(rows, left=1))


def _figures(loss: float, score: Score) -> tuple[str, ...]:
    shares = (score.agreement, score.accuracy)
    return f"{loss:.5f}", *("-" if share is None else f"{share:.2%}" for share in shares)


def _aligned(rows: Sequence[tuple[str, ...]], left: int) -> list[str]:
    """Return rows as lines, their first `left` columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
