"""Evaluation: metrics of a tiny program, computed by hand."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from pipeline.accuracy import accuracy, check_accuracy_drop, classify
from pipeline.chips import convert
from pipeline.config import Calibration, Evaluate, Quantization
from pipeline.data import Dataset
from pipeline.errors import ConfigError, DataError, ModelError
from pipeline.evaluation import shards_processes
from pipeline.evaluation.confusion import confusion_matrix, draw_confusion
from pipeline.evaluation.energy import energy_proxy
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.shards import Work, run_shards
from pipeline.evaluation.shards_processes import WorkerStopped
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.packages import MissingPackageError
from pipeline.quantization.quantize import quantize
from simulator import ProgramError, simulate
from tests.waiting import PATIENCE_SECONDS

MODEL = {
    "name": "tiny",
    "input": {"shape": [6, 6, 1], "dtype": "uint8"},
    "layers": [
        {"Conv2D": {"filters": 3, "kernel_size": 3, "padding": "same"}},
        {"ReLU": {"max_value": 6.0}},
        {"Flatten": {}},
        {"Dense": {"units": 3}},
    ],
}


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 6, 6, 1), np.uint8), np.arange(20) % 3
    data = Dataset(
        name="noise",
        source="",
        licence="",
        classes=("a", "b", "c"),
        x_train=images,
        y_train=labels,
        x_test=images,
        y_test=labels,
    )
    graph = build_graph(MODEL, seed=0)
    options = Quantization(calibration=Calibration(samples=20, batch_size=10))
    return convert(quantize(graph, images, options), "akida_v2"), graph, data


def test_signed_images_are_not_read_as_unsigned_ones(case):
    program, graph, data = case
    images = data.x_test.astype(np.int8)
    signed = replace(data, x_train=images, x_test=images)
    with pytest.raises(ProgramError, match=r"tiny: images are int8, with values that uint8"):
        evaluate(program, graph, signed, Evaluate())


def test_figures(case):
    program, graph, data = case
    result = evaluate(program, graph, data, Evaluate(batch_size=7))
    emulated, expected = simulate(program, data.x_test), forward(graph, data.x_test)
    metrics = result.metrics
    np.testing.assert_array_equal(result.predictions, emulated.argmax(axis=-1).ravel())
    assert metrics["accuracy"] == np.mean(result.predictions == data.y_test)
    assert metrics["float_accuracy"] == accuracy(graph, data.x_test, data.y_test)
    assert metrics["agreement"] == np.mean(result.predictions == classify(expected))
    assert metrics["images"] == 20
    # 6x6 positions of 3x3x1x3, then 108x3; one byte for each weight.
    assert metrics["macs"] == 36 * 27 + 108 * 3
    assert metrics["weight_bytes"] == 27 + 108 * 3
    assert metrics["saturated"] == sum(layer["saturated"] for layer in result.layers)
    assert [layer["type"] for layer in result.layers] == ["InputConv2D", "Dense1D", "Dequantizer"]
    assert len({tuple(layer) for layer in result.layers}) == 1
    assert next(result.pairs()) == (0, result.predictions[0])


@pytest.mark.parametrize(
    ("engine", "workers"),
    [
        *(("threads", workers) for workers in (2, 5, 30)),
        *(pytest.param("processes", workers, marks=pytest.mark.slow) for workers in (2, 5)),
    ],
)
def test_workers_change_nothing(case, engine, workers):
    program, graph, data = case
    one = evaluate(program, graph, data, Evaluate(batch_size=1))
    seen, options = [], Evaluate(batch_size=1, workers=workers, engine=engine)
    many = evaluate(program, graph, data, options, seen.append)
    assert many.metrics == one.metrics and many.layers == one.layers
    np.testing.assert_array_equal(many.predictions, one.predictions)
    assert sum(seen) == 20 and len(seen) == 10


def test_energy_is_counted_in_operations_of_eight_bits(case):
    program, graph, data = case
    metrics = evaluate(program, graph, data, Evaluate()).metrics
    assert metrics["energy_proxy"] == metrics["effective_macs"]
    wide = {layer.name: 64.0 for layer in program.layers}
    halved = [
        replace(layer, weight_bits=4, weights=layer.weights // 16)
        if hasattr(layer, "weights")
        else layer
        for layer in program.layers
    ]
    narrow = replace(program, layers=tuple(halved))
    assert energy_proxy(program, wide) == 3 * 64.0
    assert energy_proxy(narrow, wide) == 2 * 32.0 + 64.0


def test_a_refusal_in_a_thread_is_reported_and_ends_the_others(case):
    program, graph, data = case
    work = Work(program=program, graph=graph, batch_size=1, classes=True)
    before = threading.active_count()
    with pytest.raises(DataError, match="images have the shape"):
        run_shards(work, data.x_test[:, :5], workers=2)
    assert threading.active_count() == before


def test_an_interrupt_ends_all_threads(case):
    program, graph, data = case
    work = Work(program=program, graph=graph, batch_size=1, classes=True)
    images, seen = np.concatenate([data.x_test] * 50), []

    def interrupt(count):
        seen.append(count)
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run_shards(work, images, workers=2, progress=interrupt)
    assert len(seen) == 1 and threading.active_count() == before


@pytest.mark.slow
def test_a_refusal_in_a_worker_is_reported(case, monkeypatch):
    program, graph, data = case
    work = Work(program=program, graph=graph, batch_size=1, classes=True)
    images = data.x_test[:, :5]
    with pytest.raises(DataError, match="images have the shape"):
        run_shards(work, images, workers=2, engine="processes")
    # The child process notices when the parent stops taking images.
    monkeypatch.setattr(shards_processes, "_claim", lambda taken, count: iter(()))
    with pytest.raises(WorkerStopped, match="images have the shape"):
        run_shards(work, images, workers=2, engine="processes")


@pytest.mark.slow
def test_a_killed_worker_is_reported(case, monkeypatch):
    program, graph, data = case
    work = Work(program=program, graph=graph, batch_size=1, classes=True)
    monkeypatch.setattr(shards_processes, "_serve", _die)
    with pytest.raises(WorkerStopped, match="a worker ended with status -9; if memory"):
        run_shards(work, data.x_test, workers=2, engine="processes")


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


# Lines are written whole, by one call of the system: an interrupt may come at any time.
SHARED = """
import os, signal, sys
import numpy as np
from pipeline.evaluation.shards import Work, run_shards
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    images = np.zeros((10**6, 6, 6, 1), np.uint8)
    try:
        work = Work.load(sys.argv[1])
        progress = lambda n: os.write(1, b"chunk\\n")
        run_shards(work, images, workers=3, engine="processes", progress=progress)
    except KeyboardInterrupt:
        os.write(1, b"interrupted\\n")
"""


@pytest.mark.slow
def test_an_interrupt_ends_all_workers_without_their_tracebacks(case, tmp_path):
    program, graph, _ = case
    Work(program=program, graph=graph, batch_size=1, classes=True).save(tmp_path)
    (tmp_path / "shared.py").write_text(SHARED)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "shared.py", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for _ in range(5):
        assert process.stdout.readline() == "chunk\n"
    os.killpg(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert told.replace("chunk\n", "") == "interrupted\n"
    assert process.returncode == 0


def test_programs_with_state_are_not_distributed(case, monkeypatch):
    program, graph, data = case
    monkeypatch.setattr(Work, "keeps_state", True)
    with pytest.raises(ConfigError, match=r"evaluate\.workers: found 2; tiny carries state"):
        evaluate(program, graph, data, Evaluate(workers=2))


@pytest.mark.slow
def test_ray_changes_nothing(case):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    program, graph, data = case
    one = evaluate(program, graph, data, Evaluate(batch_size=1))
    many = evaluate(program, graph, data, Evaluate(batch_size=1, workers=2, engine="ray"))
    assert many.metrics == one.metrics and many.layers == one.layers


def test_without_ray_the_message_says_how_to_install_it(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'crossgrade\[ray\]'"):
        evaluate(*case, Evaluate(engine="ray"))


def test_fewer_images(case):
    program, graph, data = case
    assert evaluate(program, graph, data, Evaluate(samples=5)).metrics["images"] == 5
    with pytest.raises(ConfigError, match=r"evaluate\.samples: found 21; noise has 20"):
        evaluate(program, graph, data, Evaluate(samples=21))


def test_a_drop_beyond_the_limit_is_refused():
    check_accuracy_drop(0.9, 0.5, None)
    check_accuracy_drop(0.9, 0.9, 0.0)
    check_accuracy_drop(0.9, 0.95, 0.0)
    with pytest.raises(ModelError, match=r"fell from 0\.9000 to 0\.8000"):
        check_accuracy_drop(0.9, 0.8, 0.05)


def test_confusion_matrix():
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    np.testing.assert_array_equal(matrix, [[1, 1], [0, 1]])
    spare = confusion_matrix(np.array([0, 1]), np.array([5, 1]), 2)
    np.testing.assert_array_equal(spare, [[0, 0, 1], [0, 1, 0]])


def test_the_picture_is_the_same_each_time():
    labels, predictions = np.array([0, 1, 1]), np.array([0, 1, 0])
    first = draw_confusion(labels, predictions, ("cat", "dog"))
    assert first.startswith(b"\x89PNG") and first == draw_confusion(
        labels, predictions, ("cat", "dog")
    )
