"""The pipeline under DVC: what a change reruns, and what it does not."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.record import gather
from pipeline.tracking import EXPERIMENT, PARENT, local_store
from pipeline.workspace import CODE

# MLflow's database layer uses what the next version deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SOURCE = Path(__file__).parents[2]
STAGES = ("compose", "build", "transform", "quantize", "convert", "evaluate", "track")
TOUCHED = re.compile(r"Running stage '(\w+)'|Stage '(\w+)' is cached")
# No training (and so no TensorFlow), few images: the order of stages is what is tested.
TINY = """# @package _global_
training: {epochs: 0}
data: {train_samples: 40, test_samples: 20}
quantization: {calibration: {samples: 20, batch_size: 10}}
"""


class Repository:
    """A copy of the code with a tiny default configuration."""

    def __init__(self, root):
        self.root = root
        ignore = shutil.ignore_patterns("__pycache__")
        for name in CODE:
            if (SOURCE / name).is_dir():
                shutil.copytree(SOURCE / name, root / name, ignore=ignore)
            else:
                shutil.copy2(SOURCE / name, root / name)
        (root / ".dvc").mkdir()
        shutil.copy2(SOURCE / ".dvc" / "config", root / ".dvc" / "config")
        shutil.copy2(SOURCE / ".gitignore", root / ".gitignore")
        (root / "conf/experiment/tiny.yaml").write_text(TINY)
        self.edit("conf/config.yaml", "experiment: null", "experiment: tiny")
        # Each build leaves a line, also where a sweep runs it.
        self.builds = root / "builds.log"
        mark = f"    open({str(self.builds)!r}, 'a').write('build\\n')\n    config = load()\n"
        self.edit("stages/build.py", "    config = load()\n", mark)
        self.run("git", "init", "--quiet")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message=tiny")

    def edit(self, path, old, new):
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))

    def run(self, *command, fails=False):
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        author = {
            f"GIT_{who}_{what}": "x@y"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        result = subprocess.run(
            command,
            cwd=self.root,
            env=environment | author | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode != 0) == fails, result.stdout + result.stderr
        return result.stdout + result.stderr

    def touched(self, *command):
        """Run a command; return the stages that it ran or took from the cache."""
        found = TOUCHED.findall(self.run(*command))
        return [first or second for first, second in found]

    def param(self, dotted):
        return gather(self.root).params[dotted]

    def runs(self):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=local_store(self.root))
        experiment = client.get_experiment_by_name(EXPERIMENT)
        return client, client.search_runs([experiment.experiment_id])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("with space") / "clone")
    assert repository.touched("dvc", "repro") == list(STAGES)
    repository.first_lock = yaml.safe_load((repository.root / "dvc.lock").read_text())
    return repository


def test_a_second_repro_runs_only_track_and_makes_no_second_run(repository):
    assert repository.touched("dvc", "repro") == ["track"]
    client, (run,) = repository.runs()
    record = gather(repository.root)
    assert run.data.params == record.params
    assert run.data.params["quantization.weight_bits"] == "8"
    assert run.data.metrics == record.metrics
    assert {f"{stage}.accuracy" for stage in ("build", "evaluate")} <= set(run.data.metrics)
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"program.npz", "summary.txt", "params.yaml", "metrics", "plots"} <= names
    assert "Model Summary" in (repository.root / "artifacts/summary.txt").read_text()
    assert run.info.run_id in (repository.root / "artifacts/table.txt").read_text()


def test_metrics_and_plots_can_be_shown(repository):
    assert "artifacts/metrics/evaluate.json" in repository.run("dvc", "metrics", "show")
    repository.run("dvc", "plots", "show", "--out", "dvc_plots")
    assert (repository.root / "dvc_plots/index.html").is_file()


def test_the_front_with_other_bits_runs_quantize_and_later(repository):
    front = (sys.executable, "-m", "pipeline")
    touched = repository.touched(*front, "quantization.weight_bits=4")
    assert touched == ["compose", "quantize", "convert", "evaluate", "track"]
    assert repository.param("quantization.weight_bits") == "4"
    assert repository.touched(*front)[0] == "compose"
    assert repository.param("quantization.weight_bits") == "8"


def test_another_target_option_runs_convert_and_later(repository):
    touched = repository.touched(sys.executable, "-m", "pipeline", "target.strict=true")
    assert "convert" in touched
    assert not {"build", "transform", "quantize"} & set(touched)


def test_an_experiment_takes_effect(repository):
    change = ("-S", "quantization.weight_bits=4", "-S", "seed=0")
    touched = repository.touched("dvc", "exp", "run", *change, "evaluate")
    assert touched == ["compose", "quantize", "convert", "evaluate"]
    assert repository.param("quantization.weight_bits") == "4"


def test_an_edited_configuration_is_composed(repository):
    repository.edit("conf/quantization/w8a8.yaml", "activation_bits: 8", "activation_bits: 4")
    touched = repository.touched("dvc", "repro", "evaluate")
    assert touched == ["compose", "quantize", "convert", "evaluate"]
    assert repository.param("quantization.activation_bits") == "4"
    repository.edit("conf/quantization/w8a8.yaml", "activation_bits: 4", "activation_bits: 8")


def test_a_sweep_trains_once(repository):
    repository.builds.unlink()
    before = repository.run("git", "status", "--short", "params.yaml")
    output = repository.run(
        sys.executable, "-m", "pipeline", "-m", "quantization.weight_bits=4,8", "seed=7"
    )
    assert repository.builds.read_text() == "build\n"
    assert "quantization.weight_bits=4 seed=7: accuracy" in output
    _, runs = repository.runs()
    (parent,) = [run for run in runs if run.info.run_name.startswith("sweep ")]
    points = [run for run in runs if run.data.tags.get(PARENT) == parent.info.run_id]
    assert sorted(run.data.params["quantization.weight_bits"] for run in points) == ["4", "8"]
    assert {run.data.params["seed"] for run in points} == {"7"}
    assert repository.run("git", "status", "--short", "params.yaml") == before


def test_a_refused_stage_leaves_nothing_and_says_why(repository):
    output = repository.run(
        sys.executable, "-m", "pipeline", "model.layers=[{Softmaxx: {}}]", fails=True
    )
    assert "build: model" in output and "Softmaxx" in output and "Traceback" not in output
    assert not (repository.root / "artifacts/graph.npz").exists()
    before = (repository.root / "params.yaml").read_text()
    for wrong in ("quantization.weight_bits=3", "quantization=w9"):
        output = repository.run(sys.executable, "-m", "pipeline", wrong, fails=True)
        assert output.startswith("pipeline: ") and output.count("\n") == 1
    assert (repository.root / "params.yaml").read_text() == before


def test_artifacts_are_the_same_bytes_when_made_again(repository):
    repository.run("dvc", "repro", "--force", "evaluate")
    lock = yaml.safe_load((repository.root / "dvc.lock").read_text())
    for stage in STAGES[1:-1]:
        outs = repository.first_lock["stages"][stage]["outs"]
        assert lock["stages"][stage]["outs"] == outs, stage
    metrics = json.loads((repository.root / "artifacts/metrics/evaluate.json").read_text())
    assert metrics["images"] == 20
