"""What a sweep shows while it runs: points, stages, counts, time left."""

import io
import os
import time

import pytest
from rich.console import Console

from pipeline.progress import VARIABLE, Counter, Step, read_step, report
from pipeline.stage import EpochLog
from pipeline.sweeps import display
from pipeline.sweeps.display import Display, LiveView, PlainView, duration, time_left
from pipeline.sweeps.outcome import FAILED, FINISHED, REFUSED, Outcome
from pipeline.sweeps.running import STEP, begin_point, forget_running, running_points
from pipeline.sweeps.sweep import Sweep
from pipeline.sweeps.total import count_points
from tests.repository import SOURCE


@pytest.fixture
def sweep(tmp_path):
    made = Sweep(
        key="k", identity="i", overrides=("quantization.weight_bits=2,4,8",), objectives=(),
        store="sqlite:///x.db", root=str(tmp_path), folder=str(tmp_path / "sweep"), tags={},
    )  # fmt: skip
    made.points.mkdir(parents=True)
    return made


def begin(sweep, number, bits):
    folder = sweep.points / f"p{number}"
    folder.mkdir()
    begin_point(folder, number, {"quantization.weight_bits": bits})
    return folder


def end(folder, number, bits, state=FINISHED, reason=""):
    metrics = {"evaluate.accuracy": 0.9} if state == FINISHED else {}
    changed = {"quantization.weight_bits": bits}
    outcome = Outcome(
        number=number, state=state, changed=changed, params={}, metrics=metrics, reason=reason
    )
    outcome.save(folder)


def test_points_run_until_they_have_an_outcome(sweep):
    first, second = begin(sweep, 1, "4"), begin(sweep, 0, "2")
    Step(stage="build", done=3, total=15, unit="epoch", figures="loss 0.5").write(first / STEP)
    found = running_points(sweep.points)
    assert [str(point.step) for point in found] == ["starting", "build, epoch 3/15"]
    end(first, 1, "4", FAILED)
    assert [point.number for point in running_points(sweep.points)] == [0]
    time.sleep(0.01)
    begin_point(first, 1, {"quantization.weight_bits": "4"})  # a failed point runs again
    assert [str(point.step) for point in running_points(sweep.points)] == ["starting"] * 2
    forget_running(sweep.points)
    assert not running_points(sweep.points)
    assert second.is_dir()


def test_lines_say_what_runs_what_ended_and_what_is_left(sweep, capsys, monkeypatch):
    monkeypatch.setattr(display, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(PlainView, "FIRST_SECONDS", 0)
    done = begin(sweep, 0, "2")
    end(done, 0, "2")
    with Display(sweep, 3) as shown:
        folder, other = begin(sweep, 1, "4"), begin(sweep, 2, "8")
        Step(stage="build", done=3, total=15, unit="epoch").write(folder / STEP)
        Step(stage="waiting for build of another point").write(other / STEP)
        time.sleep(0.1)
        end(folder, 1, "4")
        time.sleep(0.1)
        end(other, 2, "8", REFUSED, "weight_bits: found 8")
    lines = capsys.readouterr().out.splitlines()
    assert "weight_bits=4: build, epoch 3/15 (0 s)" in lines
    assert "weight_bits=8: waiting for build of another point (0 s)" in lines
    assert "[2 of 3, about 0 s left] weight_bits=4: accuracy 0.9000" in lines
    assert "[3 of 3] weight_bits=8: refused (weight_bits: found 8)" in lines
    assert not [line for line in lines if "weight_bits=2" in line], "told before"
    assert not shown._thread.is_alive()


def test_a_point_is_not_repeated_in_plain_lines(sweep, capsys, monkeypatch):
    monkeypatch.setattr(PlainView, "FIRST_SECONDS", 0)
    view, folder = PlainView(), begin(sweep, 0, "2")
    for epoch in (1, 2, 3):
        Step(stage="build", done=epoch, total=3, unit="epoch").write(folder / STEP)
        rows = {"weight_bits=2": running_points(sweep.points)[0]}
        view.show(rows, 0, 1, "")
    assert capsys.readouterr().out == "weight_bits=2: build, epoch 1/3 (0 s)\n"


def test_a_terminal_gets_a_bar_and_the_running_points(sweep):
    folder = begin(sweep, 0, "[4]")
    Step(stage="quantize", done=5, total=10, unit="step").write(folder / STEP)
    text = io.StringIO()
    view = LiveView(
        Console(file=text, force_terminal=True, width=90, markup=False, highlight=False)
    )
    view.start()
    rows = {f"weight_bits={n}": running_points(sweep.points)[0] for n in range(12)}
    view.show({"weight_bits=[4]": running_points(sweep.points)[0]}, 1, 3, "about 9 s left")
    view.show(rows, 1, None, "")
    view.say("weight_bits=[2]: accuracy 0.9")
    view.stop()
    shown = text.getvalue()
    assert "1 of 3 points" in shown and "about 9 s left" in shown
    assert "weight_bits=[4]" in shown and "quantize, step 5/10" in shown
    assert "and 4 more" in shown and "weight_bits=[2]: accuracy 0.9" in shown


def test_the_pace_of_the_last_points_gives_the_time_left():
    assert time_left([0.0], 0, 10) is None
    assert time_left([0.0, 60.0], 1, 3) == 120
    slow_first = [0.0, 100.0, *(100.0 + 2 * n for n in range(1, 10))]
    assert time_left(slow_first, 10, 20) == pytest.approx(20)
    assert time_left([0.0, 1.0], 3, 3) is None and time_left([0.0, 1.0], 1, None) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (99, "99 s"), (130, "2 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("overrides", "points"),
    [
        (["quantization.weight_bits=2,4,8", "target=akida_v1,akida_v2"], 6),
        (["experiment=bitwidth_sweep", "seed=range(0,3)", "hydra/launcher=joblib"], 12),
        (["quantization.layers.sep*.weight_bits=2,4"], 2),
        (["seed=1"], 1),
        (["hydra/sweeper=optuna", "hydra.sweeper.n_trials=7", "seed=choice(1,2)"], 7),
    ],
)
def test_the_number_of_points_is_known_before(overrides, points):
    assert count_points(overrides, SOURCE / "conf") == points


def test_stages_report_where_they_are(tmp_path, monkeypatch):
    report(Step(stage="build"))  # nobody asked
    path = tmp_path / "step.json"
    monkeypatch.setenv(VARIABLE, str(path))
    EpochLog("build")(2, 4, {"loss": 0.25})
    assert str(read_step(path)) == "build, epoch 2/4"
    counter = Counter("evaluate", "image")
    for done in range(1, 2001):
        counter(done, 2000)
    assert str(read_step(path)) == "evaluate, image 2,000/2,000"


def test_progress_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    Step(stage="build").write(tmp_path / "file" / "step.json")
    assert read_step(tmp_path / "missing.json") is None
    assert os.listdir(tmp_path) == ["file"]


def test_combinations_that_repeat_a_point_are_counted(capsys):
    from types import SimpleNamespace

    from pipeline.sweeps.launch import _tell_repeated

    sweep = SimpleNamespace(outcomes=lambda: [None] * 4)
    for total in (None, 3, 4):
        _tell_repeated(sweep, total)
    assert not capsys.readouterr().out
    _tell_repeated(sweep, 6)
    assert capsys.readouterr().out.startswith("2 of 6 points: the same values as another one")
