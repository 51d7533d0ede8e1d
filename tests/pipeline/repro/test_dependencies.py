"""dvc.yaml lists the code that a stage imports; a missing file would reuse stale results."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.repro.dependencies import import_closure, update, with_code
from pipeline.repro.workspace import STAGES

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_imports(stage):
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    assert listed["deps"] == with_code(ROOT, stage, listed["deps"]), "run 'make deps'"


@pytest.fixture
def house(tmp_path):
    """Return a folder with a stage that imports other modules in every possible way."""
    files = {
        "stages/make.py": "from pipeline.first import one\nimport numpy\n",
        "pipeline/first/__init__.py": "from pipeline.second import two as one\n",
        "pipeline/second.py": "def two():\n    from pipeline.third.part import deep\n",
        "pipeline/third/__init__.py": "import pipeline.never\n",
        "pipeline/third/part.py": "import importlib\nimportlib.import_module(name)\n",
        "pipeline/third/found_by_name.py": "import pipeline.errors\n",
        "pipeline/errors.py": "import pipeline.never\n",
        "pipeline/never.py": "",
        "pipeline/apart.py": "",
        "simulator/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_late_imports_packages_and_computed_names_count_and_plumbing_does_not(house):
    assert import_closure(house, "stages/make.py") == {
        "stages/make.py",
        "pipeline/first/__init__.py",
        "pipeline/second.py",
        "pipeline/third/__init__.py",  # the package whose modules are found by name
        "pipeline/third/part.py",
        "pipeline/third/found_by_name.py",
        "pipeline/never.py",
    }


def test_an_update_changes_only_code_that_moved(house):
    page = (
        "# kept\nstages:\n  make:\n    cmd: x\n    deps:\n      - conf\n      - pipeline/old.py\n"
    )
    (house / "dvc.yaml").write_text(page)
    assert update(house) == ["make"]
    text = (house / "dvc.yaml").read_text()
    assert text.startswith("# kept\n")
    deps = ["conf", "pipeline/first", "pipeline/never.py", "pipeline/second.py", "pipeline/third"]
    assert yaml.safe_load(text)["stages"]["make"]["deps"] == [*deps, "stages"]
    assert update(house) == [] and (house / "dvc.yaml").read_text() == text


def test_an_update_of_this_repository_changes_nothing(tmp_path):
    for name in ("pipeline", "simulator", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "dvc.yaml", tmp_path)
    assert update(tmp_path) == []
