"""The tables that ``crossgrade diff`` prints, at most 100 columns wide."""

from __future__ import annotations

from typing import Any

from pipeline.messages.saturation import HARMLESS, percent

WIDTH = 100
GAP = 2
LONGEST_NAME = 30
CUT = "…"
NONE = "-"
COSTS = {"bits": "weight_bits", "out": "output_bits", "bytes": "weight_bytes", "MACs": "macs"}
WORK = {"zeros": "output_sparsity", "effective MACs": "effective_macs"}
SUFFIXES = ("", "k", "M", "G", "T")


def diff_table(found: dict[str, Any], names: tuple[str, str] = ("A", "B")) -> str:
    """Return the result of `pipeline.evaluation.program_diff.diff` as text.

    Parameters
    ----------
    found : dict
    names : pair of str
        Names of the two programs, for example their files.
    """
    lines = [
        f"{side.upper()}: {name} ({found[side]['target']}, {found[side]['layers']} layers)"
        for side, name in zip("ab", names, strict=True)
    ]
    structure = [("layer", "A type", "A shape", "B type", "B shape")]
    for pair in found["layers"]:
        cells = [_name(pair)]
        for row in (pair["a"], pair["b"]):
            cells += [NONE, NONE] if row is None else [row["type"], str(row["output_shape"])]
        structure.append(tuple(cells))
    lines += ["", *_table(structure, right=False), "", *_figures(found, COSTS)]
    if "agreement" in found:
        lines += ["", *_figures(found, WORK)]
    lines += ["", *_table(_totals(found), right=True)]
    return "\n".join(lines)


def _figures(found, columns):
    """Return the table of some figures per layer, and of their totals."""
    rows = [("layer", *(f"{side} {head}" for head in columns for side in "AB"))]
    rows += [(_name(pair), *_cells(pair, columns.values())) for pair in found["layers"]]
    total = {side: {key: found[side].get(key) for key in columns.values()} for side in "ab"}
    return _table([*rows, ("total", *_cells(total, columns.values()))], right=True)


def _totals(found):
    rows = [("", "A", "B")]
    rows.append(("weights, bytes", *(f"{found[s]['weight_bytes']:,}" for s in "ab")))
    rows.append(("MACs per image", *(f"{found[s]['macs']:,}" for s in "ab")))
    if "agreement" in found:
        effective = (f"{found[s]['effective_macs']:,.0f}" for s in "ab")
        rows.append(("effective MACs (estimate)", *effective))
        rows.append(("sparsity of the work", *(f"{found[s]['sparsity']:.4f}" for s in "ab")))
        shares = (percent(found[s]["saturated_share"]) for s in "ab")
        rows.append((f"saturated, of a layer ({HARMLESS:.1%} is harmless)", *shares))
    if "accuracy" in found["a"]:
        rows.append(("accuracy", *(f"{found[s]['accuracy']:.4f}" for s in "ab")))
    if "agreement" in found:
        share = f"{found['agreement']:.4f}"
        rows.append((f"same class, of {found['images']} images", share, share))
    rows.append(("beyond the chip's limits", *(str(len(found[s]["limits"])) for s in "ab")))
    return rows


def _name(pair):
    names = dict.fromkeys(row["name"] for row in (pair["a"], pair["b"]) if row is not None)
    return " / ".join(_cut(name, LONGEST_NAME) for name in names)


def _cells(pair, keys):
    for key in keys:
        for row in (pair["a"], pair["b"]):
            value = None if row is None else row[key]
            if value is None:
                yield NONE
            elif key == "output_sparsity":
                yield f"{value:.3f}"
            else:
                yield short(value)


def short(number: float) -> str:
    """Return a count in at most five characters: 999, 1.23k, 45.6M."""
    size = 0
    # 999.5 would round to 1000, which is 1 with the next suffix.
    while number >= (1000 if size == 0 else 999.5) and size < len(SUFFIXES) - 1:
        number, size = number / 1000, size + 1
    if size == 0:
        return f"{number:.0f}"
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f}{SUFFIXES[size]}"


def _table(rows, *, right):
    """Return lines of aligned cells; the first column is shortened if lines would be too long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + GAP * (len(widths) - 1) - WIDTH
    if excess > 0:
        widths[0] = max(widths[0] - excess, len("layer"))
    lines = []
    for row in rows:
        cells = [_cut(row[0], widths[0]).ljust(widths[0])]
        for cell, width in zip(row[1:], widths[1:], strict=True):
            cells.append(cell.rjust(width) if right else cell.ljust(width))
        lines.append((" " * GAP).join(cells).rstrip())
    rule = "-" * min(sum(widths) + GAP * (len(widths) - 1), WIDTH)
    return [lines[0], rule, *lines[1:]]


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    kept = max(width - len(CUT), 0)
    return text[: kept - kept // 2] + CUT + text[len(text) - kept // 2 :]
