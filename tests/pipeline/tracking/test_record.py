"""Output of a run: files, their record, tables."""

import json

import pytest

from pipeline import files
from pipeline.errors import DataError
from pipeline.messages.notes import Note
from pipeline.tracking.record import flatten, gather
from pipeline.tracking.results import results_table

PARAMS = """
model: {name: tiny, layers: [{Dense: {units: 2}}]}
data: {name: digits, path: null}
quantization: {input_weight_bits: 8, weight_bits: 4, activation_bits: 4}
target: {name: akida_v2}
"""
METRICS = {
    "float_accuracy": 0.5,
    "accuracy": 0.25,
    "agreement": 0.75,
    "weight_bytes": 1234,
    "macs": 5678,
    "saturated": 2,
    "saturated_share": 0.001,
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    files.write_json(tmp_path / files.metrics_path("evaluate"), METRICS | {"notes": ["a"]})
    files.write_bytes(tmp_path / files.PROGRAM, b"program")
    files.write_text(tmp_path / files.SUMMARY, "summary")
    files.write_csv(tmp_path / files.LAYERS, ("a", "b"), [(1, 2)])
    return tmp_path


def test_record(root):
    record = gather(root)
    assert record.name == "tiny akida_v2 8/4/4"
    assert record.params["quantization.weight_bits"] == "4"
    assert record.params["data.path"] == "null"
    assert record.params["model.layers.0.Dense.units"] == "2"
    assert record.metrics["evaluate.weight_bytes"] == 1234.0
    assert "evaluate.notes" not in record.metrics
    names = [path.name for path in record.artifacts]
    assert names == ["program.npz", "summary.txt", "params.yaml", "evaluate.json", "layers.csv"]


def test_the_fingerprint_distinguishes_runs(root):
    first = gather(root).fingerprint
    assert gather(root).fingerprint == first
    files.write_bytes(root / files.PROGRAM, b"another")
    second = gather(root).fingerprint
    files.write_json(root / files.metrics_path("evaluate"), METRICS | {"accuracy": 0.5})
    assert len({first, second, gather(root).fingerprint}) == 3


def test_flatten_keeps_short_lists_whole():
    values = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "f": {}}
    assert dict(flatten(values)) == {"a.b": 1, "a.c": [1, 2], "d.0.e": None}


def test_the_results_table(root):
    record = gather(root)
    table = results_table(record, "here")
    assert "float accuracy              0.5000" in table
    assert "weight memory               1,234 bytes" in table
    assert "saturated values            0.1% of a layer at most; harmless below" in table
    assert "MLflow run                  here" in table
    assert "bits                        8/4/4 (first layer's weights, other weights" in table
    assert "conf/" not in table
    changed = results_table(record, "here", ["quantization.weight_bits=4"])
    assert changed.splitlines()[-1].startswith(
        "other than conf/            quantization.weight_bits=4; "
    )


def test_the_record_contains_warnings_and_saturation(root):
    notes = [
        Note(kind="input", level="warning", text="images of another scale"),
        Note(kind="saturation", text="conv 0.1%; harmless"),
        Note(kind="prepared", text="folded"),
    ]
    entries = [note.as_dict() for note in notes]
    files.write_json(root / files.metrics_path("evaluate"), METRICS | {"notes": entries})
    record = gather(root)
    wanted = ("warning: images of another scale", "note: conv 0.1%; harmless")
    assert record.warnings == wanted
    assert not [name for name in record.metrics if "notes" in name]


def test_files_are_written_atomically(tmp_path):
    path = tmp_path / "deep" / "metrics.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"a": 1} == json.loads(path.read_text())
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]
    path.write_text("{")
    with pytest.raises(DataError, match="not readable"):
        files.read_json(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_bytes(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
