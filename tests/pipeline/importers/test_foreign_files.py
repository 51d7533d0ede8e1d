"""Files that are no model of a known format: the message says what they are, and what to give."""

import json
import pickle
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import CrossgradeError
from pipeline.graph.archive import save_graph
from pipeline.importers.load import load_model
from simulator.errors import ProgramError
from tests.pipeline.quantization.graphs import chain, conv


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"")


def saved_model(path):
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"\x08\x01")


WRITERS = {
    "model.tflite": lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100)),
    "saved": saved_model,
    "folder": lambda path: path.mkdir(),
    "model.pt": lambda path: archive(path, "archive/data.pkl", "archive/version"),
    "model.zip": lambda path: archive(path, "readme.txt"),
    "cut.keras": lambda path: path.write_bytes(b"PK\x03\x04"),
    "images.npz": lambda path: np.savez(path, x=np.zeros(3)),
    "image.npy": lambda path: np.save(path, np.zeros(3)),
    "model.pkl": lambda path: path.write_bytes(pickle.dumps({"a": 1}, protocol=4)),
    "model.json": lambda path: path.write_text(json.dumps({"class_name": "Sequential"})),
    "model.yaml": lambda path: path.write_text("name: x\n"),
    "graph.pb": lambda path: path.write_bytes(b"\x0a\x10graph"),
    "empty.h5": lambda path: path.write_bytes(b""),
    "text.h5": lambda path: path.write_text("hello"),
}
MESSAGES = {
    "model.tflite": r"is a TFLite model.*give the Keras or ONNX model that it was converted from",
    "saved": r"is a SavedModel folder; save the Keras model as one file, model\.save\('model\.k",
    "folder": r"is a folder; give the \.h5, \.keras, \.onnx or \.npz file of a model",
    "model.pt": r"was saved by PyTorch; export it with torch\.onnx\.export",
    "model.zip": r"no config\.json and model\.weights\.h5: it is not a \.keras file; save the Ker",
    "cut.keras": r"truncated or damaged",
    "images.npz": r"holds arrays, no model; give the \.h5, \.keras or \.onnx file",
    "image.npy": r"holds arrays, no model; give the \.h5, \.keras or \.onnx file",
    "model.pkl": r"is a pickle, which may run code and is never loaded; save the Keras model",
    "model.json": r"is JSON, the layers of a model without weights;.*model.architecture",
    "model.yaml": r"is an architecture without weights",
    "graph.pb": r"is a frozen TensorFlow graph; save the Keras model",
    "empty.h5": r"is empty \(0 bytes\); save or copy the model again",
    "text.h5": r"is neither HDF5 \(\.h5\), a \.keras archive nor ONNX \(\.onnx\); give",
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_file_is_that_is_no_model(tmp_path, name):
    WRITERS[name](tmp_path / name)
    with pytest.raises(CrossgradeError, match=MESSAGES[name]):
        load_model(tmp_path / name)


COMMANDS = (
    ("check", "{}"),
    ("migrate", "{}", "-o", "new.h5"),
    ("quantize", "{}", "-o", "q.npz"),
    ("convert", "{}", "-o", "p.npz"),
    ("export", "{}", "-o", "e.h5"),
    ("describe", "{}"),
    ("compare", "{}", "{}", "x.npy"),
    ("analyze", "{}", "{}", "x.npy"),
    ("search", "{}", "--samples", "x.npy", "--budget", "weight_kib=1"),
    ("unfuse", "-m", "{}"),
    ("simulate", "{}", "x.npy"),
    ("summary", "{}"),
    ("vectors", "{}", "x.npy", "-o", "v"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("name", ["saved", "model.pt", "model.tflite"])
def test_every_command_refuses_it_with_status_1(tmp_path, monkeypatch, name, command):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((2, 4, 4, 1), np.uint8))
    WRITERS[name](tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    arguments = [part.format(name) for part in command]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert isinstance(result.exception, CrossgradeError | ProgramError), result.output
    message = str(result.exception)
    runs = command[0] in ("simulate", "summary", "vectors")
    assert ("is not a program" if runs else MESSAGES[name].partition(";")[0][:12]) in message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("quantize", "m.npz", "-o", "folder"), "--output folder: is a folder; name a file in it"),
        (("quantize", "m.npz", "-o", "q.npz", "--samples", "folder"), "is a folder; give a .npy"),
        (("compare", "m.npz", "m.npz", "folder"), "folder: is a folder; give a .npy array"),
    ],
)
def test_a_folder_in_place_of_a_file(tmp_path, monkeypatch, command, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    save_graph("m.npz", chain(conv(4), ("Flatten", {}), ("Dense", {"units": 5})))
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert message in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "m.npz"]
