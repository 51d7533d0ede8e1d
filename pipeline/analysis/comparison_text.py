"""Describe the comparison of two models in words."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analysis.comparison import Comparison
from pipeline.messages.lines import counted, wrapped_lines

SHOWN = 20
"""Layers that the table lists, from the first that differs."""


def comparison_text(found: Comparison, titles: Sequence[str]) -> str:
    """Return what two models differ in: the first difference, and the layers from there on.

    Parameters
    ----------
    found : Comparison
    titles : sequence of str
        Names of both models.
    """
    lines = [f"{side}: {title}" for side, title in zip("AB", titles, strict=True)]
    for side, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            lines.append(f"only in {side}, not compared: {', '.join(names)}")
    if found.other_shapes:
        lines.append(f"of other shapes, not compared: {_listed(found.other_shapes)}")
    compared = f"{counted(len(found.layers), 'layer')} and {counted(found.images, 'image')}"
    if found.tolerance is not None:
        compared += (
            f"; differences up to {found.tolerance:g} of a layer's largest output are the rounding"
            " of float32 sums in another order"
        )
    first = found.first
    if not found.equal and found.outputs_equal:
        lines.append(f"the outputs of both models are equal{_why(found)}")
    if first is None:
        return wrapped_lines("\n".join([*lines, f"equal in {compared}"]))
    where = first.first
    kind = f" ({first.type})" if first.type else ""
    lines.append(
        f"first difference: {first.name}{kind}, image {where.image}, index {where.index}:"
        f" {where.a} in A, {where.b} in B"
    )
    lines.append(f"compared {compared}; from there on:")
    return "\n".join([wrapped_lines("\n".join(lines)), "", *_table(found)])


def _listed(others) -> str:
    texts = [f"{one.name} {one.a} and {one.b}" for one in others[:SHOWN]]
    left = len(others) - SHOWN
    return "; ".join([*texts, *([f"and {left} more"] if left > 0 else [])])


def _why(found) -> str:
    if found.tolerance is None:
        return ""
    return "; layers between may differ where 'crossgrade migrate' moved or rewrote them"


def _table(found) -> list[str]:
    start = found.layers.index(found.first)
    layers = found.layers[start:]
    rows = [("layer", "values", "differ", "share", "largest difference")]
    rows += [
        (
            layer.name,
            f"{layer.values:,}",
            f"{layer.differ:,}",
            f"{layer.differ / layer.values:.2%}",
            f"{layer.largest:g}",
        )
        for layer in layers[:SHOWN]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]
    left = len(layers) - SHOWN
    return [*lines, *([f"and {left} more layers"] if left > 0 else [])]
