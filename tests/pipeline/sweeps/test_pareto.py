"""Results of a sweep: Pareto fronts, tables, refusals."""

import csv

import numpy as np
import pytest

from pipeline import files
from pipeline.sweeps.names import short_names
from pipeline.sweeps.outcome import FINISHED, REFUSED, Outcome
from pipeline.sweeps.pareto import compare, front, markdown, table_rows, terminal_table
from pipeline.sweeps.picture import draw_fronts


def outcome(number, accuracy=None, weight_bytes=100, macs=1000, **changed):
    metrics = {} if accuracy is None else {"accuracy": accuracy, "float_accuracy": 0.9}
    if metrics:
        metrics |= {"agreement": 0.5, "weight_bytes": weight_bytes, "effective_macs": macs}
    return Outcome(
        number=number,
        state=REFUSED if accuracy is None else FINISHED,
        changed={f"quantization.{name}": str(value) for name, value in changed.items()},
        params={},
        metrics={f"evaluate.{name}": value for name, value in metrics.items()},
        reason="" if metrics else f"convert: tiny: found {changed}\n  - allowed: 4",
    )


POINTS = (
    outcome(0, 0.90, 100, 2000, weight_bits=2, activation_bits=4),
    outcome(1, 0.95, 200, 1000, weight_bits=4, activation_bits=4),
    outcome(2, 0.94, 300, 1500, weight_bits=8, activation_bits=4),
    outcome(3, None, weight_bits=3, activation_bits=4),
)


def test_a_front_contains_points_that_no_other_dominates():
    assert front([(0.9, 100), (0.95, 200), (0.94, 300), None]) == {0, 1}
    assert front([(0.9, 100), (0.9, 100)]) == {0, 1}, "equal points do not dominate each other"
    assert front([(0.9, 100), (0.9, 90), (0.8, 90)]) == {1}
    assert front([None]) == front([]) == frozenset()


def test_fronts_agree_with_the_definition():
    rng = np.random.default_rng(0)
    points = [tuple(map(int, pair)) for pair in rng.integers(0, 6, (40, 2))]
    for i, (a, c) in enumerate(points):
        beaten = any(x >= a and y <= c and (x, y) != (a, c) for x, y in points)
        assert (i in front(points)) != beaten


def test_only_varying_parameters_have_a_column():
    comparison = compare(POINTS)
    assert comparison.varied == ("quantization.weight_bits",)
    assert [comparison.front_names(i) for i in range(4)] == ["memory", "memory, MACs", "", ""]
    assert (comparison.count(FINISHED), comparison.count(REFUSED)) == (3, 1)
    columns, rows = table_rows(comparison)
    assert rows[0][columns.index("weight_bytes")] == 100
    assert rows[3][columns.index("reason")].startswith("convert: tiny")


def test_the_csv_reads_back(tmp_path):
    files.write_csv(tmp_path / "t.csv", *table_rows(compare(POINTS)))
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["finished"] * 3 + ["refused"]
    assert [row["front"] for row in rows][:2] == ["memory", "memory, MACs"]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_the_terminal_table_fits(width):
    table = terminal_table(compare(POINTS), width)
    assert max(map(len, table.splitlines())) <= width
    assert "refused #3: convert: tiny" in " ".join(table.split())
    assert "0.9500" in table


def test_figures_are_visible_with_many_parameters():
    values = {f"long_name_{number}": "long value" for number in range(9)}
    for points in ([outcome(0, 0.9512, **values)], [outcome(0, 0.9512, **values), *POINTS]):
        table = terminal_table(compare(points))
        assert max(map(len, table.splitlines())) <= 100
        assert "0.9512" in table and "long_name_0" in table


def test_markdown_has_one_line_per_point_and_the_reasons():
    lines = markdown(compare(POINTS)).splitlines()
    assert lines[0].startswith("| # | weight_bits | accuracy |")
    assert sum(line.startswith("| ") for line in lines) == 2 + len(POINTS)
    assert lines[-1].startswith("- refused #3: convert")


def test_regression_is_compared_by_its_error():
    def point(number, error, size):
        metrics = {"mean_absolute_error": error, "weight_bytes": size, "effective_macs": size}
        named = {f"evaluate.{name}": value for name, value in metrics.items()}
        return Outcome(number=number, state=FINISHED, changed={}, params={}, metrics=named)

    comparison = compare([point(0, 0.5, 10), point(1, 0.2, 20), point(2, 0.6, 15)])
    assert comparison.fronts["weight_bytes"] == {0, 1}
    assert "mean error" in terminal_table(comparison)
    assert draw_fronts(comparison).startswith(b"\x89PNG")


def test_objectives_of_refused_points_are_worse_than_any():
    refused, finished = POINTS[3], POINTS[0]
    assert refused.objective("accuracy") < finished.objective("accuracy")
    assert refused.objective("weight_bytes") > finished.objective("weight_bytes")


def test_the_picture_is_the_same_each_time_and_needs_no_points():
    assert draw_fronts(compare(POINTS)) == draw_fronts(compare(POINTS))
    assert draw_fronts(compare(POINTS[3:])).startswith(b"\x89PNG")
    assert draw_fronts(compare([])).startswith(b"\x89PNG")


def test_short_names_stay_unique():
    assert short_names(["a.bits", "b.bits", "target"]) == ["a.bits", "b.bits", "target"]
    assert short_names(["a.weight_bits", "a.bits"]) == ["weight_bits", "bits"]
    layers = ["quantization.layers.pw_*.weight_bits", "quantization.weight_bits"]
    assert short_names(layers) == ["pw_*.weight_bits", "weight_bits"]
