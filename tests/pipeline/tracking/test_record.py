"""Output of a run: files, their record, tables."""

import functools
import json
import subprocess

import pytest

from pipeline import files
from pipeline.errors import DataError
from pipeline.messages.notes import Note
from pipeline.tracking.figures import HEADLINES, figures
from pipeline.tracking.provenance import provenance
from pipeline.tracking.record import flatten, gather, measured, run_name
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
    assert record.name == "8/4/4 akida_v2 tiny digits"
    assert record.params["quantization.weight_bits"] == "4"
    assert record.params["data.path"] == "null"
    assert record.params["model.layers.0.Dense.units"] == "2"
    assert record.metrics["evaluate.weight_bytes"] == 1234.0
    assert "evaluate.notes" not in record.metrics
    names = [path.name for path in record.artifacts]
    assert names == ["program.npz", "summary.txt", "params.yaml", "evaluate.json", "layers.csv"]


def test_an_imported_model_has_the_name_of_its_file():
    params = {"model.name": "null", "model.path": "/models/old net.h5", "data.name": "mine"}
    params |= {"target.name": "akida_v2"}
    params |= {f"quantization.{k}_bits": "8" for k in ("input_weight", "weight", "activation")}
    assert run_name(params) == "8/8/8 akida_v2 old net mine"
    assert run_name(params | {"model.name": "new"}) == "8/8/8 akida_v2 new mine"


def test_mlflow_gets_each_figure_once_and_headlines_first():
    found = figures(
        {
            "build.accuracy": 0.9,
            "convert.exceeded_limits": 1.0,
            "convert.weight_bytes": 2048.0,
            "evaluate.accuracy": 0.85,
            "evaluate.float_accuracy": 0.9,
            "evaluate.weight_bytes": 2048.0,
            "evaluate.agreement": 355 / 360,
            "evaluate.macs": 1234567.0,
            "transform.gap.max_abs_difference": 1e-6,
        }
    )
    first = ["accuracy", "loss_to_float", "agreement", "weight_kib", "over_limits"]
    assert list(found)[:5] == first
    assert (found["agreement"], found["macs"]) == (0.986111, 1234567)
    assert found["loss_to_float"] == 0.05 and found["weight_kib"] == 2
    assert set(found) - set(HEADLINES) == {"build/accuracy", "evaluate/float_accuracy"}


def test_what_a_run_was_made_of(root):
    record = gather(root)
    assert record.data.name == "digits" and len(record.data.digest) == 12
    better = METRICS | {"accuracy": 0.75}
    files.write_json(root / files.metrics_path("evaluate"), better)
    assert gather(root).description.startswith("accuracy 0.7500, 0.2500 above float")
    files.write_json(root / files.metrics_path("evaluate"), METRICS)
    files.write_json(root / files.INPUT_DATA, {"images.npy": "another hash"})
    assert gather(root).data.digest != record.data.digest
    assert record.description.startswith("accuracy 0.2500, 0.2500 below float, 1.2 KiB of weights")
    files.write_csv(root / files.TRAINING_CURVE, ("epoch", "loss"), [(1, 0.5), (2, 0.25)])
    files.write_csv(root / files.REGISTER_CURVE, ("epoch", "held_out_loss"), [(1, 0.25)])
    curves = {"training/loss": [(1, 0.5), (2, 0.25)], "registers/held_out_loss": [(1, 0.25)]}
    assert gather(root).curves == curves


def test_the_commit_and_its_state_are_recorded(tmp_path):
    assert "mlflow.source.git.commit" not in provenance(tmp_path)
    run = functools.partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    run(["git", "init", "-q"])
    (tmp_path / "file").write_text("one")
    run(["git", "add", "file"])
    run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"])
    clean = provenance(tmp_path)
    assert len(clean["mlflow.source.git.commit"]) == 40
    assert clean["crossgrade.git.dirty"] == "false"
    (tmp_path / "file").write_text("two")
    assert provenance(tmp_path)["crossgrade.git.dirty"] == "true"


def test_a_run_is_collected_without_asking_git(root, monkeypatch):
    """Points of a sweep are collected often, and recorded once."""
    monkeypatch.setattr(subprocess, "Popen", None)
    assert measured(root) == gather(root).metrics != {}
    assert not gather(root).tags


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
    choices = ["quantization.weight_bits=4", "training.epochs=2"]
    assert results_table(record, "here", choices).splitlines()[-3:] == [
        "other than conf/            quantization.weight_bits=4",
        "                            training.epochs=2",
        "                            'python -m pipeline' runs the defaults",
    ]


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
