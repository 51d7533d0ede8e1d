"""Folders of `crossgrade init`, in which the installed package runs the pipeline."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.project.code import CODE, code_file
from pipeline.project.create import create_project, project_stages
from pipeline.repro.workspace import STAGES
from tests.repository import TINY, TOUCHED
from tests.wheel import build_wheel, clean, install_into


def test_a_new_and_an_empty_folder_get_everything(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/er"):
        names = create_project(tmp_path / name)
        assert names == [".dvc", ".dvcignore", ".gitignore", "README.md", "conf", "dvc.yaml"]
        assert (tmp_path / name / "conf/model/ds_cnn.yaml").is_file()


def test_the_current_folder_stays_the_same_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_project(".")
    assert os.path.samefile(os.getcwd(), tmp_path) and os.path.isfile("dvc.yaml")


@pytest.mark.parametrize("found", ["folder", "file"])
def test_what_is_there_is_refused_and_kept(tmp_path, found):
    place = tmp_path / "taken"
    if found == "folder":
        place.mkdir()
    (place / "mine.txt" if found == "folder" else place).write_text("mine")
    with pytest.raises(ConfigError, match=rf"{place}: is (not empty|a file); give a new"):
        create_project(place)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] in (
        ["mine.txt"],
        ["taken"],
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/new: cannot be written \(.+\)"):
        create_project(tmp_path / "file" / "new")


@pytest.mark.parametrize("exists", [False, True])
def test_nothing_half_written_stays(tmp_path, monkeypatch, exists):
    if exists:
        (tmp_path / "new").mkdir()
    monkeypatch.setattr("pipeline.project.create.project_stages", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        create_project(tmp_path / "new")
    assert list(tmp_path.rglob("*")) == ([tmp_path / "new"] if exists else [])


def test_no_stage_depends_on_a_path_of_the_checkout():
    stages = yaml.safe_load(project_stages())["stages"]
    assert list(stages) == ["code", *STAGES]
    made = {next(iter(out)) if isinstance(out, dict) else out for s in stages.values()
            for kind in ("outs", "metrics", "plots") for out in s.get(kind, [])}  # fmt: skip
    for name in STAGES:
        assert str(code_file(name)) in stages[name]["deps"]
        assert set(stages[name]["deps"]) <= made | {"conf"}


class Project:
    """A project folder, beside the folder of packages that its commands run."""

    def __init__(self, folder):
        self.packages = install_into(folder / "packages", build_wheel(folder))
        self.root = folder / "with space"
        self.run(sys.executable, "-c", "from pipeline.cli import main; main()", "init", self.root,
                 folder=folder)  # fmt: skip
        (self.root / "conf/experiment/tiny.yaml").write_text(TINY)
        config = self.root / "conf/config.yaml"
        config.write_text(config.read_text().replace("experiment: null", "experiment: tiny"))

    def run(self, *command, folder=None):
        path = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
        environment = clean() | {"PYTHONPATH": str(self.packages), "PATH": path}
        found = subprocess.run(
            list(map(str, command)),
            cwd=folder or self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout + found.stderr

    def ran(self):
        """Return the stages that `dvc repro` runs or takes from the cache."""
        touched = TOUCHED.findall(self.run("dvc", "repro"))
        return [running or cached for running, cached in touched]

    def edit(self, module):
        with (self.packages / module).open("a") as file:
            file.write("# changed\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


@pytest.mark.slow
def test_the_pipeline_runs_from_the_installed_package(project):
    place = project.run(sys.executable, "-c", "import pipeline; print(pipeline.__file__)")
    assert place.startswith(str(project.packages))
    printed = project.run(sys.executable, "-m", "pipeline")
    assert "akida_v2 emulator accuracy" in printed
    assert (project.root / "artifacts/program.npz").is_file()
    assert (project.root / "mlflow.db").is_file()
    assert project.ran() == ["code", "inputs", "track"]
    assert sorted(path.stem for path in (project.root / CODE).iterdir()) == sorted(STAGES)


@pytest.mark.slow
def test_other_installed_code_runs_the_stages_that_use_it(project):
    project.edit("pipeline/cli/check.py")
    assert project.ran() == ["code", "inputs", "track"]
    project.edit("pipeline/analysis/page.py")
    assert project.ran() == ["code", "inputs", "analyze", "track"]
    project.edit("pipeline/chips/report.py")
    assert {"build", "quantize", "convert"} <= set(project.ran())


@pytest.mark.slow
def test_a_sweep_runs_from_the_installed_package(project):
    printed = project.run(
        sys.executable, "-m", "pipeline", "-m", "quantization.weight_bits=4,8", "seed=1"
    )
    assert "weight_bits=4" in printed and "weight_bits=8" in printed
    assert len(list(project.root.glob("multirun/*/points/*/outcome.json"))) == 2


@pytest.mark.slow
def test_with_git_experiments_run(project, tmp_path):
    root = tmp_path / "versioned"
    names = shutil.ignore_patterns("multirun", "mlflow.db*", "mlartifacts", "unrecorded")
    shutil.copytree(project.root, root, ignore=names)
    (root / ".dvc/config.local").unlink()
    author = ["-c", "user.name=x", "-c", "user.email=x@y"]
    project.run("git", "init", "--quiet", folder=root)
    project.run("git", "add", "--all", folder=root)
    project.run("git", *author, "commit", "--quiet", "--message=first", folder=root)
    committed = project.run("git", "ls-files", folder=root).split()
    assert "dvc.yaml" in committed and not [p for p in committed if p.startswith("artifacts")]
    project.run("dvc", "exp", "run", "-S", "quantization.weight_bits=4", folder=root)
    assert "weight_bits: 4" in (root / "params.yaml").read_text()
