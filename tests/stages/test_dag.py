"""The pipeline under DVC: which stages a change reruns."""

import json
import sys

import numpy as np
import pytest
import yaml

from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import save_graph
from pipeline.repro.workspace import KEEP_PARAMS, STAGES
from pipeline.tracking.figures import figures
from pipeline.tracking.record import gather
from pipeline.tracking.store import PARENT
from tests.repository import Repository, sentences

# MLflow's database layer uses what the next version deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("with space") / "clone")
    assert repository.touched("dvc", "repro") == list(STAGES)
    repository.first_lock = yaml.safe_load((repository.root / "dvc.lock").read_text())
    return repository


def test_a_second_repro_runs_only_track_and_makes_no_second_run(repository):
    assert repository.touched("dvc", "repro") == ["inputs", "track"]
    client, (run,) = repository.runs()
    record = gather(repository.root)
    assert run.data.params == record.params
    assert run.data.params["quantization.weight_bits"] == "8"
    shown = {name for name in run.data.metrics if not name.startswith("training/")}
    assert {name: run.data.metrics[name] for name in shown} == figures(record.metrics)
    assert {"accuracy", "loss_to_float", "weight_kib", "over_limits"} <= shown
    curve = client.get_metric_history(run.info.run_id, "training/val_accuracy")
    assert [point.step for point in curve] == list(range(1, len(curve) + 1))
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "digits" and used.dataset.digest
    assert run.data.tags["mlflow.note.content"].startswith("accuracy ")
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"program.npz", "summary.txt", "params.yaml", "metrics", "plots"} <= names
    assert "analysis.html" in names and "analyze/decibels" in run.data.metrics
    assert "<svg" in (repository.root / "artifacts/analysis.html").read_text()
    assert "Model Summary" in (repository.root / "artifacts/summary.txt").read_text()
    assert run.info.run_id in (repository.root / "artifacts/table.txt").read_text()


def test_metrics_and_plots_can_be_shown(repository):
    assert "artifacts/scores.json" in repository.run("dvc", "metrics", "show")
    repository.run("dvc", "plots", "show", "--out", "dvc_plots")
    assert (repository.root / "dvc_plots/index.html").is_file()


def test_other_bits_rerun_quantize_and_later_stages(repository):
    front = (sys.executable, "-m", "pipeline")
    touched = repository.touched(*front, "quantization.weight_bits=4")
    rerun = ["compose", "inputs", "quantize", "convert", "analyze", "evaluate", "track"]
    assert touched == rerun
    assert repository.param("quantization.weight_bits") == "4"
    assert repository.touched(*front)[0] == "compose"
    assert repository.param("quantization.weight_bits") == "8"


def test_another_target_option_reruns_convert_and_later_stages(repository):
    touched = repository.touched(sys.executable, "-m", "pipeline", "target.strict=true")
    assert "convert" in touched
    assert not {"build", "transform", "quantize"} & set(touched)


def test_an_experiment_takes_effect(repository):
    change = ("-S", "quantization.weight_bits=4", "-S", "seed=0")
    touched = repository.touched("dvc", "exp", "run", *change, "evaluate")
    assert touched == ["compose", "inputs", "quantize", "convert", "evaluate"]
    assert repository.param("quantization.weight_bits") == "4"


def test_an_edited_configuration_is_composed(repository):
    repository.edit("conf/quantization/w8a8.yaml", "activation_bits: 8", "activation_bits: 4")
    touched = repository.touched("dvc", "repro", "evaluate")
    assert touched == ["compose", "inputs", "quantize", "convert", "evaluate"]
    assert repository.param("quantization.activation_bits") == "4"
    repository.edit("conf/quantization/w8a8.yaml", "activation_bits: 4", "activation_bits: 8")


def test_a_sweep_trains_once(repository):
    repository.builds.unlink()
    before = repository.run("git", "status", "--short", "params.yaml")
    output = repository.run(
        sys.executable, "-m", "pipeline", "-m", "quantization.weight_bits=4,8", "seed=7"
    )
    assert repository.builds.read_text() == "build\n"
    assert "weight_bits=4: accuracy" in sentences(output)
    _, runs = repository.runs()
    (parent,) = [run for run in runs if run.info.run_name.startswith("sweep ")]
    points = [run for run in runs if run.data.tags.get(PARENT) == parent.info.run_id]
    assert sorted(run.data.params["quantization.weight_bits"] for run in points) == ["4", "8"]
    assert {run.data.params["seed"] for run in points} == {"7"}
    assert repository.run("git", "status", "--short", "params.yaml") == before


def test_a_refused_stage_writes_nothing_and_gives_the_reason(repository):
    output = repository.run(
        sys.executable, "-m", "pipeline", "model.layers=[{Softmaxx: {}}]", fails=True
    )
    assert (
        "build: model" in sentences(output) and "Softmaxx" in output and "Traceback" not in output
    )
    assert not (repository.root / "artifacts/graph.npz").exists()
    before = (repository.root / "params.yaml").read_text()
    for wrong in ("quantization.weight_bits=3", "quantization=w9", "hydra/launcher=joblib"):
        output = repository.run(sys.executable, "-m", "pipeline", wrong, fails=True)
        assert output.startswith("pipeline: ") and max(map(len, output.splitlines())) <= 100
    assert (repository.root / "params.yaml").read_text() == before


def test_artifacts_are_reproduced_byte_by_byte(repository):
    repository.run("dvc", "repro", "--force", "evaluate")
    lock = yaml.safe_load((repository.root / "dvc.lock").read_text())
    for stage in STAGES[1:-1]:
        outs = repository.first_lock["stages"][stage]["outs"]
        assert lock["stages"][stage]["outs"] == outs, stage
    metrics = json.loads((repository.root / "artifacts/metrics/evaluate.json").read_text())
    assert metrics["images"] == 20


def test_content_of_user_files_counts_not_their_date(repository):
    """Images, weights and model files: changed content reruns build, equal content does not."""

    def images(seed):
        rng = np.random.default_rng(seed)
        arrays = {
            f"{kind}_{split}": made
            for split in ("train", "test")
            for kind, made in (
                ("x", rng.integers(0, 256, (40, 8, 8, 1), np.uint8)),
                ("y", rng.integers(0, 2, 40)),
            )
        }
        np.savez(repository.root / "mine.npz", **arrays)

    def weights(seed):
        graph = build_graph(read_architecture("mlp", ["classes=2"]), seed=seed)
        save_graph(repository.root / "mine_weights.npz", graph)

    images(1)
    weights(1)
    front = (sys.executable, "-m", "pipeline", "model=mlp", "model.classes=2", "data=arrays")
    front += ("data.path=mine.npz", "training.weights=mine_weights.npz")
    assert "build" in repository.touched(*front)

    def touched(stage):
        return repository.touched("dvc", "repro", stage, **{KEEP_PARAMS: "1"})

    images(1)
    weights(1)
    assert touched("evaluate") == ["inputs"]
    weights(2)
    assert touched("build") == ["inputs", "build"]
    images(2)
    stages = ["inputs", "build", "transform", "quantize", "convert", "evaluate"]
    assert touched("evaluate") == stages
    found = json.loads((repository.root / "artifacts/inputs/model.json").read_text())
    assert list(found) == ["training.weights"]
    # A sweep runs elsewhere, and finds the same files.
    output = repository.run(*front[:3], "-m", *front[3:], "quantization.weight_bits=4")
    assert "accuracy 0." in sentences(output)


def test_exports_are_written_and_named_by_the_run(repository):
    repository.run(sys.executable, "-m", "pipeline")
    touched = repository.touched(sys.executable, "-m", "pipeline", "export.formats=[quantizeml]")
    assert not {"build", "transform", "quantize"} & set(touched)
    index = json.loads((repository.root / "artifacts/exports/index.json").read_text())
    assert (repository.root / "artifacts/exports" / index["quantizeml"]["file"]).is_file()
    client, runs = repository.runs()
    key = "export.quantizeml.sha256"
    (run,) = [run for run in runs if key in run.data.tags]
    assert run.data.tags[key] == index["quantizeml"]["sha256"]
    names = {file.path for file in client.list_artifacts(run.info.run_id, "exports")}
    assert names == {"exports/index.json", "exports/quantizeml.h5"}
    wrong = ("export.formats=[cnn2snn]", "export.formats=[tflite]")
    for change in wrong:
        output = repository.run(sys.executable, "-m", "pipeline", change, fails=True)
        assert output.startswith("pipeline: export.formats") and "Running" not in output
