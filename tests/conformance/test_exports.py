"""Comparing exports: which models there are, results that a later run continues, the table."""

import pytest

from conformance import workers
from conformance.exports.__main__ import main
from conformance.exports.results import Results, table
from conformance.exports.work import FORMATS, SOURCES, Task, run_task, tasks
from conformance.workers import Fault
from pipeline.graph.architecture_file import zoo_names

EQUAL = {
    "source": "zoo",
    "label": "a",
    "why": "",
    "status": "equal",
    "form": "same",
    "values": 1200,
}


def test_every_architecture_is_exported_at_every_width_and_axis():
    labels = [task.label for task in tasks("quantizeml", ["zoo"], 0, 0)]
    for name in zoo_names():
        for bits in ("8/8/8", "8/4/4", "4/4/4"):
            for axis in ("axis", "tensor"):
                assert {f"{name} {bits} {axis}", f"{name} {bits} {axis} refined"} <= set(labels)
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("name", FORMATS)
def test_labels_are_unique(name):
    found = tasks(name, SOURCES, 3, 20)
    assert len(set(found)) == len(found)
    assert sum(task.source == "random" for task in found) == (0 if name == "cnn2snn" else 20)


def test_a_later_run_continues_from_the_results(tmp_path, monkeypatch, capsys):
    path, todo = tmp_path / "results.jsonl", tasks("onnx", ["random"], 0, 3)
    kept = Results(path)
    kept.add(todo[0], {**EQUAL, "source": "random"})
    with path.open("a") as file:
        file.write('{"task": {"na')  # interrupted while writing
    ran = []

    def run(tasks, results, jobs):
        for task in tasks:
            ran.append(task)
            results.add(task, {**EQUAL, "source": "random"})

    monkeypatch.setattr("conformance.exports.__main__._run", run)
    arguments = ["--format", "onnx", "--models", "random", "--count", "3", "--results", str(path)]
    assert main(arguments) == 0 and ran == todo[1:]
    assert main(arguments) == 0 and ran == todo[1:]
    assert "| random |   3 |     3 |" in capsys.readouterr().out


@pytest.mark.parametrize("status", ["mismatch", "refused", "fault"])
def test_what_differs_or_is_refused_fails(tmp_path, monkeypatch, capsys, status):
    result = {"source": "given", "label": "x", "status": status, "why": "3 of 4 differ"}
    task = Task("onnx", "given", 0, 300, "x")
    monkeypatch.setattr("conformance.exports.__main__.tasks", lambda *a: [task])
    monkeypatch.setattr("conformance.exports.__main__._run", lambda t, r, j: r.add(task, result))
    assert main(["--format", "onnx"]) == 1
    assert f"given x: {status}: 3 of 4 differ" in capsys.readouterr().out


def test_the_table_counts_by_source():
    other = {"source": "given", "label": "b", "why": "", "status": "unusable"}
    lines = table([EQUAL, other]).splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) < 100
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells == ["all", "2", "1", "0", "0", "0", "1", "0", "0", "1,200"]


def test_an_exported_network_is_compared():
    result = run_task(Task("cnn2snn", "zoo", 0, 0, "separable_cnn 8/4/4"))
    assert result["label"] == "separable_cnn 8/4/4" and result["status"] == "equal"
    assert result["form"] == "same" and result["outputs"] > 0


@pytest.mark.parametrize("name", ["cnn2snn", "onnx"])
def test_models_of_signed_images_are_compared_on_those_that_the_chip_takes(name):
    result = run_task(Task(name, "zoo", 0, 0, "convtiny 8/4/4"))
    assert result["status"] == "equal" and result["outputs"] > 0


def test_a_fault_is_a_result_that_a_later_run_tries_again(tmp_path, monkeypatch, capsys):
    path, todo = tmp_path / "results.jsonl", tasks("onnx", ["random"], 0, 2)
    answers = [Fault("KeyError: 'x' (a.py:3)"), {**EQUAL, "source": "random"}]
    monkeypatch.setattr(
        workers, "results", lambda work, items, *_: iter(zip(items, answers, strict=False))
    )
    arguments = ["--format", "onnx", "--models", "random", "--count", "2", "--results", str(path)]
    assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert "random network 0/0: fault: KeyError: 'x' (a.py:3)" in printed
    assert set(Results(path).found) == {todo[1]}
    answers[0] = {**EQUAL, "source": "random"}
    assert main(arguments) == 0 and set(Results(path).found) == set(todo)
