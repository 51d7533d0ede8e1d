"""Packages that may be missing: every optional import has an extra, and its message is one line."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.ending import ending
from pipeline.packages import EXTRAS, SEPARATE, MissingPackageError, require
from tests.test_imports import LATE, OPTIONAL

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE = {"click", "h5py", "numpy", "omegaconf", "threadpoolctl", "yaml"}
OWN_MESSAGE = {"llvmlite", "onnxruntime"}
"""Packages whose absence is no error: another way is taken, or the backend's own message."""
DEVELOPMENT = {"ruamel"}
"""Packages that only `make` needs, or that come with those of an extra."""


def test_the_base_installation_is_what_every_command_imports():
    names = {text.partition(">")[0] for text in PROJECT["dependencies"]}
    assert names == BASE - {"yaml"} | {"pyyaml"}


def test_every_optional_import_has_an_extra():
    optional = set(LATE) | {name for names in OPTIONAL.values() for name in names}
    assert optional - BASE - OWN_MESSAGE - DEVELOPMENT == set(EXTRAS) | set(SEPARATE)
    assert set(EXTRAS.values()) <= set(PROJECT["optional-dependencies"])


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        import mlflow.pyfunc  # noqa: F401
    message, status = ending(caught.value)
    assert status == 1
    assert message == (
        "this needs the package mlflow, which is not installed; pip install 'crossgrade[pipeline]'"
    )
    with pytest.raises(MissingPackageError, match=r"^--train labels: needs the package mlflow"):
        require("mlflow", "--train labels")


def test_a_missing_package_of_no_extra_is_a_bug():
    with pytest.raises(ModuleNotFoundError) as caught:
        import pipeline.no_such_module  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        ending(caught.value)


def test_no_other_place_catches_a_missing_package():
    caught = []
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
                if names & {"ImportError", "ModuleNotFoundError"}:
                    caught.append(path.relative_to(ROOT).as_posix())
    # onnxruntime is faster, where it is there; Windows has no such module; Python callers get the
    # same message as commands; MLflow names the driver of a database by ImportError.
    assert sorted(caught) == [
        "pipeline/host/run.py",
        "pipeline/importers/hdf5_child.py",
        "pipeline/steps/python.py",
        "pipeline/tracking/store.py",
    ]
