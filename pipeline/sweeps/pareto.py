"""Compare the points of a sweep: a table, and Pareto fronts of accuracy against cost."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.sweeps.names import short_names
from pipeline.sweeps.outcome import FINISHED, OVER_LIMITS, Outcome
from pipeline.tracking.results import align

COSTS = {"weight_bytes": "memory", "effective_macs": "MACs"}
"""Metric of stage evaluate to the name of its front."""
WIDTH = 100
FIGURES = (
    "accuracy",
    "float_accuracy",
    "agreement",
    "mean_absolute_error",
    "float_mean_absolute_error",
    "weight_bytes",
    "macs",
    "effective_macs",
    "energy_proxy",
    "saturated",
    "over_limits",
)
OFF = "over limits"
"""Mark of a point whose program the chip cannot hold: it is on no front."""
COLUMNS = {
    "accuracy": ("accuracy", ".4f"),
    "mean_absolute_error": ("mean error", ".4f"),
    "float_accuracy": ("float", ".4f"),
    "agreement": ("agreement", ".4f"),
    "weight_bytes": ("weight bytes", ",.0f"),
    "effective_macs": ("eff. MACs", ",.0f"),
    "over_limits": ("limits", ".0f"),
}
DROPPED_FIRST = ("float_accuracy", "agreement", "effective_macs")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of a sweep's points.

    Attributes
    ----------
    outcomes : tuple of Outcome
    varied : tuple of str
        Names whose values differ between points.
    fronts : dict of str to frozenset of int
        Cost to the indices of points that no other point beats in accuracy and that cost, among
        the programs that their chip can hold.
    """

    outcomes: tuple[Outcome, ...]
    varied: tuple[str, ...]
    fronts: dict[str, frozenset[int]]

    def front_names(self, index: int) -> str:
        """Return the names of the fronts that a point is on, or why it is on none."""
        if self.outcomes[index].over_limits:
            return OFF
        return ", ".join(name for cost, name in COSTS.items() if index in self.fronts[cost])

    def count(self, state: str) -> int:
        """Return the number of points in one state."""
        return sum(outcome.state == state for outcome in self.outcomes)


def compare(outcomes: Sequence[Outcome]) -> Comparison:
    """Return the comparison of a sweep's points."""
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.changed))
    varied = [n for n in names if len({outcome.changed.get(n) for outcome in outcomes}) > 1]
    return Comparison(
        outcomes=tuple(outcomes),
        varied=tuple(varied or names),
        fronts={cost: front([_figures(outcome, cost) for outcome in outcomes]) for cost in COSTS},
    )


def front(points: Sequence[tuple[float, float] | None]) -> frozenset[int]:
    """Return the indices of (accuracy, cost) that no other point dominates; None is skipped."""
    known = [(i, *point) for i, point in enumerate(points) if point is not None]
    return frozenset(
        index
        for index, accuracy, cost in known
        if not any(a >= accuracy and c <= cost and (a > accuracy or c < cost) for _, a, c in known)
    )


def table_rows(comparison: Comparison) -> tuple[list[str], list[list]]:
    """Return the columns and rows of the CSV table, with full precision."""
    columns = ["point", "state", *comparison.varied, *FIGURES, "front", "reason"]
    rows = [
        [
            outcome.number,
            outcome.state,
            *(outcome.changed.get(name, "") for name in comparison.varied),
            *(outcome.metrics.get(_metric(name), "") for name in FIGURES),
            comparison.front_names(index),
            outcome.reason,
        ]
        for index, outcome in enumerate(comparison.outcomes)
    ]
    return columns, rows


def markdown(comparison: Comparison) -> str:
    """Return the table in Markdown, followed by refusals."""
    header, *rows = cells(comparison)
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines)
    without = [f"- {text}" for text in reasons(comparison)]
    return "\n".join([text, "", *without]) if without else text


def cells(comparison: Comparison) -> list[list[str]]:
    """Return the header and the rows of the table as texts."""
    return _cells(comparison, _measured(comparison))


def terminal_table(comparison: Comparison, width: int = WIDTH) -> str:
    """Return the table in at most `width` columns.

    Columns that do not fit are left out; then the varied values come last and are cut.
    """
    kept = _measured(comparison)
    table = align(_cells(comparison, kept))
    for name in DROPPED_FIRST:
        if _width(table) > width and name in kept:
            kept.remove(name)
            table = align(_cells(comparison, kept))
    if _width(table) > width:
        table = align(_cells(comparison, kept, varied_last=True))
    lines = [line if len(line) <= width else line[: width - 1] + "…" for line in table.split("\n")]
    for reason in reasons(comparison):
        lines += textwrap.wrap(reason, width, subsequent_indent="  ")
    return "\n".join(lines)


def _measured(comparison: Comparison) -> list[str]:
    """Return the columns with a value for some point, or the default ones."""
    names = {key for outcome in comparison.outcomes for key in outcome.metrics}
    found = [n for n in COLUMNS if _metric(n) in names]
    if not any(outcome.over_limits for outcome in comparison.outcomes):
        found = [n for n in found if n != "over_limits"]
    return found or ["accuracy", "weight_bytes"]


def _cells(
    comparison: Comparison, names: Sequence[str], *, varied_last: bool = False
) -> list[list[str]]:
    rows = [(short_names(comparison.varied), [*(COLUMNS[n][0] for n in names), "front"])]
    for index, outcome in enumerate(comparison.outcomes):
        figures = [_format(outcome.metrics, name) for name in names]
        if outcome.state != FINISHED:
            figures[0] = outcome.state
        varied = [outcome.changed.get(name, "") for name in comparison.varied]
        rows.append((varied, [*figures, comparison.front_names(index)]))
    numbers = ["#", *(str(outcome.number) for outcome in comparison.outcomes)]
    return [
        [number, *figures, *varied] if varied_last else [number, *varied, *figures]
        for number, (varied, figures) in zip(numbers, rows, strict=True)
    ]


def reasons(comparison: Comparison) -> list[str]:
    """Return one line for each reason, with the affected points."""
    points: dict[tuple[str, str], list[str]] = {}
    for outcome in comparison.outcomes:
        if outcome.state != FINISHED:
            reason = " ".join(outcome.reason.split())
            points.setdefault((outcome.state, reason), []).append(f"#{outcome.number}")
    return [f"{state} {', '.join(who)}: {why}" for (state, why), who in points.items()]


def _figures(outcome: Outcome, cost: str) -> tuple[float, float] | None:
    quality = outcome.quality
    off = quality is None or outcome.over_limits
    return None if off else (quality.merit, outcome.metrics[f"evaluate.{cost}"])


def _format(metrics: Mapping[str, float], name: str) -> str:
    value = metrics.get(_metric(name))
    return "" if value is None else format(value, COLUMNS[name][1])


def _metric(name: str) -> str:
    return OVER_LIMITS if name == "over_limits" else f"evaluate.{name}"


def _width(table: str) -> int:
    return max(map(len, table.split("\n")))
