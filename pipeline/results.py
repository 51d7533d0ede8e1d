"""The small tables that a run and a sweep end with."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.record import Record

GAP = "  "


def results_table(record: Record, where: str) -> str:
    """Return accuracy, agreement and cost of one run, and `where` it is kept."""
    params, metrics = record.params, record.metrics

    def figure(name, style):
        return format(metrics[f"evaluate.{name}"], style)

    rows = [
        ("model", f"{params['model.name']} on {params['data.name']}"),
        ("float accuracy", figure("float_accuracy", ".4f")),
        (f"{params['target.name']} emulator accuracy", figure("accuracy", ".4f")),
        ("agreement of the two", figure("agreement", ".4f")),
        ("weight memory", figure("weight_bytes", ",.0f") + " bytes"),
        ("MACs per image", figure("macs", ",.0f")),
        ("saturated values", figure("saturated", ",.0f")),
        ("MLflow run", where),
    ]
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
