"""The tables printed at the end of a run and of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages.saturation import verdict
from pipeline.tracking.record import Record, model_name

GAP = "  "
RESTORE = "'python -m pipeline' runs the defaults"


def results_table(record: Record, where: str, changed: Sequence[str] = ()) -> str:
    """Format accuracy, agreement and cost of one run, and `where` it is recorded.

    Parameters
    ----------
    record : Record
    where : str
    changed : sequence of str
        Choices other than the defaults.
    """
    params, metrics = record.params, record.metrics

    def figure(name, style):
        return format(metrics[f"evaluate.{name}"], style)

    rows = [
        ("model", f"{model_name(params)} on {params['data.name']}"),
        ("bits", f"{record.bits} (first layer's weights, other weights, activations)"),
        *_quality(params["target.name"], figure, "evaluate.accuracy" in metrics),
        ("weight memory", figure("weight_bytes", ",.0f") + " bytes"),
        ("MACs per image", figure("macs", ",.0f")),
        ("chip limits exceeded", format(metrics.get("convert.exceeded_limits", 0), ".0f")),
        ("saturated values", verdict(metrics["evaluate.saturated_share"])),
        ("MLflow run", where),
        *_choices(changed),
    ]
    return align(rows)


def _choices(changed):
    """Return a row for each choice other than the defaults, so that lines stay short."""
    if not changed:
        return []
    first, *others = [*changed, RESTORE]
    return [("other than conf/", first), *(("", other) for other in others)]


def _quality(target, figure, classes):
    if classes:
        return [
            ("float accuracy", figure("float_accuracy", ".4f")),
            (f"{target} emulator accuracy", figure("accuracy", ".4f")),
            ("agreement of the two", figure("agreement", ".4f")),
        ]
    return [
        ("float mean absolute error", figure("float_mean_absolute_error", ".4g")),
        (f"{target} emulator mean absolute error", figure("mean_absolute_error", ".4g")),
        ("mean difference of the two", figure("mean_difference", ".4g")),
    ]


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
