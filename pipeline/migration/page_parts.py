"""Tables, badges and numbers of the page of a certificate."""

from __future__ import annotations

from html import escape


def table(heads, rows) -> str:
    """Return a table; heads that begin with ``#`` are of columns of numbers."""
    right = [head.startswith("#") for head in heads]
    classes = [' class="n"' if flag else "" for flag in right]
    top = "".join(f"<th{c}>{h.lstrip('#')}</th>" for h, c in zip(heads, classes, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{v}</td>" for v, c in zip(row, classes, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def badge(text, kind) -> str:
    """Return a short text in the colour of a kind."""
    return f'<span class="badge {kind}">{escape(text)}</span>'


def listed(names) -> str:
    """Return names with commas, the most of them folded away."""
    shown = ", ".join(escape(name) for name in names[:4])
    if len(names) <= 4:
        return shown
    rest = ", ".join(escape(name) for name in names[4:])
    return f"{shown} <details><summary>and {len(names) - 4} more</summary>{rest}</details>"


def count(value) -> str:
    """Return a number of at most four digits and a unit."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:,}"


def relative(before, after) -> str:
    """Return a change in percent, or as a number where nothing was before."""
    return f"{100 * (after - before) / before:+.1f} %" if before else f"{after - before:+,}"
