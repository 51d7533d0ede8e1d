"""Write a folder in which the installed package runs the pipeline."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from pipeline.errors import ConfigError
from pipeline.files import shipped
from pipeline.project.code import code_file, is_code
from pipeline.repro.workspace import prepare_without_git

TEXTS = Path(__file__).parent / "texts"
WRITTEN = {
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "dvcignore": ".dvcignore",
    "dvc_config": ".dvc/config",
    "dvc_gitignore": ".dvc/.gitignore",
}
"""By file in `TEXTS`: its path in the folder."""
HEADER = """\
# The stages of crossgrade {version}, written by 'crossgrade init'. What did not change, and what
# was run before, is taken from the cache. The stage 'code' hashes the installed package, so that
# an upgrade runs the stages again whose code it changes.
"""


def create_project(folder) -> list[str]:
    """Write conf/, dvc.yaml, a README and DVC's settings into a new or empty folder.

    All of it is written to a temporary folder first, which is then renamed.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of str
        Names in the folder, sorted.

    Raises
    ------
    ConfigError
        If the folder is not empty, is a file, or cannot be written.
    """
    folder = Path(folder).resolve()
    _check_empty(folder)
    try:
        _write(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from error
    return sorted(path.name for path in folder.iterdir())


def _write(folder: Path) -> None:
    exists = folder.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder if exists else folder.parent
    with tempfile.TemporaryDirectory(prefix=".crossgrade-", dir=place) as aside:
        whole = Path(aside) / folder.name
        shutil.copytree(shipped("conf"), whole / "conf")
        for name, path in WRITTEN.items():
            (whole / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(TEXTS / name, whole / path)
        (whole / "dvc.yaml").write_text(project_stages(), encoding="utf-8")
        prepare_without_git(whole)
        if exists:  # it may be the current folder, and stays the same one
            for path in whole.iterdir():
                path.rename(folder / path.name)
        else:
            whole.rename(folder)


def project_stages() -> str:
    """Return dvc.yaml of a project folder: its stages depend on hashes of the installed code."""
    content = yaml.safe_load(shipped("dvc.yaml").read_text(encoding="utf-8"))
    stages = {
        "code": {
            "desc": "the installed package -> hashes of the code that each stage runs",
            "cmd": "python -m pipeline.project.code",
            "always_changed": True,
            "outs": [{str(code_file(name)): {"cache": False}} for name in content["stages"]],
        }
    }
    for name, stage in content["stages"].items():
        own = [path for path in stage["deps"] if not is_code(path)]
        stages[name] = {**stage, "deps": [*own, str(code_file(name))]}
    text = yaml.safe_dump({**content, "stages": stages}, sort_keys=False, width=100)
    return HEADER.format(version=_version()) + text


def _check_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        found = "is not empty" if folder.is_dir() else "is a file"
        raise ConfigError(f"{folder}: {found}; give a new or an empty folder")


def _version() -> str:
    try:
        return version("crossgrade")
    except PackageNotFoundError:  # a checkout that is not installed
        return "from a checkout"
