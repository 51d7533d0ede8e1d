"""Part of the enumeration; ``make keras-options`` runs all of it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from conformance.keras_options.alternatives import alternatives
from conformance.keras_options.report import print_table

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "every", "refused"), [(None, 60, 4), ("topologies", 1, 0), ("calls", 1, 4)]
)
def test_no_file_is_read_as_another_model(tmp_path, group, every, refused):
    pytest.importorskip("tf_keras")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "conformance.keras_options", "--every", str(every)]
    command += ["--report", str(report), *(["--group", group] if group else [])]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    rows = json.loads(report.read_text())
    found = Counter(row["status"] for row in rows)
    assert found["equal"] > 10 and found["refused"] >= refused
    assert {(row["keras"], row["file"]) for row in rows} == {
        (keras, suffix) for keras in ("keras", "tf_keras") for suffix in ("h5", "keras")
    }


@pytest.mark.slow
def test_a_fault_in_the_importer_is_found(monkeypatch, tmp_path):
    keras = pytest.importorskip("keras")
    from conformance.keras_options.cases import cases
    from conformance.keras_options.examine import examine
    from pipeline.graph.operations import OPERATIONS

    chosen = [case for case in cases(keras) if case.group == "ReLU"][:12]
    good = [status for case in chosen for status, _ in examine(keras, case, tmp_path).values()]
    assert "different" not in good and good.count("equal") > 6
    wrong = {"max_value": 1.5, "threshold": 0.0}
    monkeypatch.setattr(OPERATIONS["ReLU"], "read_keras", lambda kind, config: wrong)
    bad = [status for case in chosen for status, _ in examine(keras, case, tmp_path).values()]
    assert bad.count("different") > 6


def test_options_of_a_later_keras_get_values_by_their_types():
    assert alternatives("brand_new", False) == [True]
    assert alternatives("brand_new", 2) == [1, 3, 4]
    assert 0.0 in alternatives("brand_new", 1.5)
    assert True in alternatives("brand_new", None)
    assert alternatives("some_initializer", None)


def test_the_table_counts_and_names_what_differs(capsys):
    row = {"keras": "keras", "file": "h5", "group": "ReLU", "what": "max_value=1", "why": "by 3"}
    rows = [{**row, "status": status} for status in ("equal", "equal", "refused", "different")]
    assert print_table([*rows, {**row, "status": "not made by Keras"}]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["keras", ".h5", "4", "2", "0", "1", "1"]
    assert printed[-1] == "keras .h5 ReLU max_value=1: by 3"
