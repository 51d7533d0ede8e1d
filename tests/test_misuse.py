"""Misuse gives a message that names it, exit code 1, and no partial files."""

import numpy as np
import pytest
import yaml

from pipeline.files import ARTIFACTS, GRAPH, PROGRAM, QUANTIZED, TRANSFORMED
from pipeline.stage import run
from simulator.archive import write_archive
from stages import analyze, build, compose, convert, evaluate, inputs, quantize, track, transform

STAGES = {
    module.__name__.partition(".")[2]: module.main
    for module in (compose, inputs, build, transform, quantize, convert, analyze, evaluate, track)
}
ORDER = ("inputs", "build", "transform", "quantize", "convert", "analyze", "evaluate")
TINY = {
    "model": {
        "name": "tiny",
        "input": {"shape": [6, 6, 1], "dtype": "uint8"},
        "layers": [
            {"Conv2D": {"filters": 3, "kernel_size": 3, "padding": "same"}},
            {"ReLU": {"max_value": 6.0}},
            {"Flatten": {}},
            {"Dense": {"units": 2}},
        ],
    },
    "data": {"name": "arrays", "path": "images.npz"},
    "training": {"epochs": 0},
    "quantization": {"calibration": {"samples": 8, "batch_size": 4}},
}


def images(**changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (12, 6, 6, 1), np.uint8),
        "y_train": np.arange(12) % 2,
        "x_test": rng.integers(0, 256, (4, 6, 6, 1), np.uint8),
        "y_test": np.arange(4) % 2,
    }
    return arrays | changes


def merged(base, changes):
    """Return nested mappings with some values replaced."""
    result = dict(base)
    for key, value in changes.items():
        inner = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if inner else value
    return result


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", **images())
    configure({})
    return tmp_path


def configure(changes):
    with open("params.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump(merged(TINY, changes), file)


def carry_to(stage):
    """Run the stages before `stage`."""
    for name in ORDER[: ORDER.index(stage)]:
        STAGES[name]()


def content():
    return {path: path.read_bytes() for path in sorted(ARTIFACTS.rglob("*")) if path.is_file()}


def refused(stage, capsys):
    """Run a stage that refuses; return its message."""
    before = content()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(stage, STAGES[stage])
    assert stop.value.code == 1
    assert content() == before
    message = capsys.readouterr().err
    first, *others = message.splitlines()
    assert first.startswith(f"{stage}: ")
    assert all(line.startswith(("  - ", "    ")) for line in others)
    assert max(map(len, message.splitlines())) <= 100
    return " ".join(message.split())


def layers(*entries):
    return {"model": {"layers": list(entries)}}


CONFIGURATIONS = [
    ("build", {"quantisation": {}}, "quantisation: unknown key; did you mean quantization?"),
    ("build", {"quantization": {"weight_bits": 3}}, "weight_bits: found 3; allowed: 2, 4, 8"),
    ("build", {"training": {"epochs": "ten"}}, "training.epochs: found 'ten'"),
    ("build", {"target": {"name": "akida_v7"}}, "target.name: found 'akida_v7'; allowed: akida_v"),
    ("inputs", {"data": {"path": "none.npz"}}, "no file or folder 'none.npz'"),
    ("inputs", {"training": {"weights": "none.h5"}}, "training.weights: no file 'none.h5'"),
    ("inputs", {"model": {"path": "none.h5"}}, "model.path: no file 'none.h5'"),
    ("build", {"data": {"path": "none.npz"}}, "no file or folder 'none.npz'"),
    ("build", {"data": {"path": None}}, "needs the path of an .npz file"),
    ("build", {"data": {"train_samples": 99}}, "found 99; there are 12 images"),
    ("build", layers(), "choose a model"),
    ("build", layers({"LSTM": {"units": 3}}), "LSTM"),
    ("build", layers({"Conv2D": {"filterz": 3}}), "filterz"),
    ("build", layers({"Dense": {"units": 2, "activation": "tanh"}}), "activation"),
    ("build", {"model": {"input": {"shape": [8, 8, 1]}}}, "takes uint8 of shape (n, 8, 8, 1)"),
    ("build", {"model": {"input": {"shape": [6, 6, 3]}}}, "takes uint8 of shape (n, 6, 6, 3)"),
    ("quantize", {"quantization": {"calibration": {"samples": 0}}}, "samples: found 0"),
    ("evaluate", {"evaluate": {"samples": 5}}, "evaluate.samples: found 5"),
]


@pytest.mark.parametrize(("stage", "changes", "message"), CONFIGURATIONS)
def test_a_wrong_configuration(folder, capsys, stage, changes, message):
    carry_to(stage)
    configure(changes)
    assert message in refused(stage, capsys)


FILES = [
    (b"", "not a readable .npz file"),
    (b"PK\x03\x04", "not a readable .npz file"),
    (images(x_train=np.zeros((12, 6, 6, 1), np.float32)), "x_train is float32"),
    (images(x_test=np.zeros((4, 36), np.uint8)), "x_test is uint8 of shape (4, 36)"),
    (images(x_train=np.zeros((0, 6, 6, 1), np.uint8), y_train=np.zeros(0, int)), "is empty"),
    (images(y_train=np.array([{}] * 12)), "not a readable .npz file of plain arrays"),
    (images(y_train=np.arange(12)), "label"),
]


@pytest.mark.parametrize(("file", "message"), FILES)
def test_wrong_images(folder, capsys, file, message):
    if isinstance(file, bytes):
        (folder / "images.npz").write_bytes(file)
    else:
        np.savez("images.npz", **file)
    assert message in refused("build", capsys)


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        ("transform", GRAPH),
        ("quantize", TRANSFORMED),
        ("convert", QUANTIZED),
        ("analyze", QUANTIZED),
        ("evaluate", PROGRAM),
    ],
)
def test_missing_and_damaged_artifacts(folder, capsys, stage, path):
    carry_to(stage)
    whole = path.read_bytes()
    for damaged in (None, b"", whole[: len(whole) // 2]):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        message = refused(stage, capsys)
        assert str(path) in message
        path.write_bytes(whole)
    write_archive(path, {"kind": "cake"}, {})
    assert "cake" in refused(stage, capsys)


def test_an_analysis_that_is_switched_off_says_so_on_its_page(folder):
    configure({"analyze": {"images": 0}})
    carry_to("evaluate")
    assert "switched off" in (ARTIFACTS / "analysis.html").read_text()
    found = yaml.safe_load((ARTIFACTS / "metrics" / "analyze.json").read_text())
    assert found == {"images": 0}


MAPS = {"layers": [{"Conv2D": {"filters": 1, "kernel_size": 3, "padding": "same"}}]}


def test_regression_maps(folder, capsys):
    """Labels with a number per pixel pass all stages; maps of another size are refused."""
    rng = np.random.default_rng(0)
    maps = {f"y_{split}": rng.random((n, 6, 6, 1)) for split, n in (("train", 12), ("test", 4))}
    np.savez("images.npz", **images(**maps))
    configure({"model": MAPS})
    carry_to("evaluate")
    run("evaluate", STAGES["evaluate"])
    found = yaml.safe_load((ARTIFACTS / "metrics" / "evaluate.json").read_text())
    assert 0 < found["mean_difference"] < found["mean_absolute_error"]
    lines = (ARTIFACTS / "plots" / "predictions.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 36
    np.savez("images.npz", **images(**{name: array[:, 1:] for name, array in maps.items()}))
    message = refused("build", capsys)
    assert "found float32 of shape (12, 5, 6, 1)" in message and "gives (6, 6, 1)" in message


def test_a_missing_configuration(folder, capsys):
    (folder / "params.yaml").unlink()
    assert "params.yaml: no such file" in refused("build", capsys)


def test_a_configuration_that_is_not_yaml(folder, capsys):
    (folder / "params.yaml").write_text("a: [1")
    assert "params.yaml: not readable as a configuration" in refused("build", capsys)


def test_composing_elsewhere(folder, capsys, monkeypatch):
    for name in compose.COMPOSED_ALREADY:
        monkeypatch.delenv(name, raising=False)
    assert "run in a folder that 'crossgrade init' made" in refused("compose", capsys)


def test_a_folder_that_cannot_be_written(folder, capsys):
    ARTIFACTS.write_text("a file where the folder should be")
    with pytest.raises(SystemExit) as stop:
        run("build", STAGES["build"])
    assert stop.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupt_leaves_nothing(folder, capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run("build", interrupted)
    assert stop.value.code == 130
    assert capsys.readouterr().err == "build: interrupted; nothing was written\n"
    assert content() == {}
