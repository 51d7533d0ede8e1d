"""Folders in which `dvc repro` runs: the repository itself, or a copy for one point of a sweep."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from pipeline.config.compose import write_params
from pipeline.config.sections import OWN_FILES
from pipeline.errors import ConfigError, CrossgradeError
from pipeline.files import PARAMS
from pipeline.packages import require
from pipeline.progress import VARIABLE
from pipeline.repro import run_dvc
from pipeline.repro.dvc_server import DvcServer
from simulator.malformed import MALFORMED

CODE = ("conf", "pipeline", "simulator", "stages", "dvc.yaml", ".dvcignore")
STAGES = (
    "compose",
    "inputs",
    "build",
    "transform",
    "quantize",
    "convert",
    "analyze",
    "evaluate",
    "track",
)
ENDS = ("compose", "track")
BYTE_CODE = "__pycache__"
ERRORS = Path("errors.log")
SERVER = DvcServer()
WRITTEN_SECONDS = 0.5
KEEP_PARAMS = "CROSSGRADE_KEEP_PARAMS"


class StageFailed(CrossgradeError):
    """A stage failed; its output says where."""


class StageRefused(StageFailed):
    """A stage refused what it was given, and said why."""


def reproduce(
    folder,
    *stages: str,
    quiet: bool = False,
    watch: Callable[[], None] | None = None,
    progress=None,
) -> None:
    """Run ``dvc repro`` in `folder` for `stages` (all when none), with params.yaml as it is.

    Parameters
    ----------
    quiet : bool
        Print nothing; the error holds the stage's message.
    watch : function, optional
        Called repeatedly while the stages run; needs `quiet`.
    progress : path-like, optional
        File to which the stages write where they are, see `pipeline.progress`.

    Raises
    ------
    StageRefused
        When `quiet` and a stage refuses, with its message.
    StageFailed
        When a stage fails; without `quiet` it has printed its own message.
    MissingPackageError
        When DVC is not installed.
    """
    require("dvc", "running the stages")
    _mend_torn_files(Path(folder))
    bin_folder = str(Path(sys.executable).parent)
    path = os.pathsep.join((bin_folder, os.environ.get("PATH", "")))
    environment = {**os.environ, "PATH": path, KEEP_PARAMS: "1"}
    environment |= {} if progress is None else {VARIABLE: str(progress)}
    if quiet:
        status, said = _reproduce_quietly(Path(folder).resolve(), stages, environment, watch)
    else:
        command = [sys.executable, "-m", run_dvc.__name__, "repro", *stages]
        said, status = "", subprocess.run(command, cwd=folder, env=environment).returncode
    if status:
        if refusal := _refusal(said):
            raise StageRefused(refusal)
        said = f" ({'; '.join(said.splitlines()[-20:])})" if said else ""
        raise StageFailed(f"dvc repro stopped with status {status}{said}")


def _mend_torn_files(folder: Path) -> None:
    """Remove files of DVC of which a killed process left a part: DVC would fail for ever.

    Without dvc.lock the stages' results come from the cache. A living process writes either file
    in far less time than `WRITTEN_SECONDS`.
    """
    files = {folder / ".dvc" / "tmp" / "rwlock": _locks, folder / "dvc.lock": _recorded_stages}
    torn = {path: parse for path, parse in files.items() if _is_torn(path, parse)}
    if torn:
        time.sleep(WRITTEN_SECONDS)
    for path, parse in torn.items():
        if _is_torn(path, parse):
            path.unlink(missing_ok=True)


def _is_torn(path: Path, read: Callable[[str], object]) -> bool:
    """Return whether a file is there that `read` refuses, or in which it finds a value missing."""
    try:
        read(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (*MALFORMED, yaml.YAMLError):
        return True
    return False


def _locks(text: str) -> None:
    json.loads(text).items()


def _recorded_stages(text: str) -> None:
    """Read dvc.lock as far as DVC's schema asks for: a part of a file may be YAML."""
    for stage in yaml.safe_load(text)["stages"].values():
        stage["cmd"].strip()
        for values in stage.get("params", {}).values():
            values.items()
        for entry in (*stage.get("deps", ()), *stage.get("outs", ())):
            entry["path"].strip()
            for name in ("hash", "md5"):
                entry.get(name, "").strip()
            for name in ("size", "nfiles"):
                int(entry.get(name, 0))


def _reproduce_quietly(folder: Path, stages, environment, watch) -> tuple[int, str]:
    """Return the exit status and the standard error of DVC and the stages."""
    arguments, errors = ["repro", "--quiet", *stages], folder / ERRORS
    status = SERVER.run(
        arguments, folder=folder, environment=environment, errors=errors, watch=watch
    )
    return status, errors.read_text("utf-8", "replace").strip() if errors.is_file() else ""


def stages_done(folder) -> set[str]:
    """Return the stages whose results in `folder` are complete and cached."""
    path = Path(folder) / "dvc.lock"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return set(re.findall(r"^  (\w+):$", text, re.MULTILINE))


def _refusal(said: str) -> str | None:
    """Return the message of a stage that refused, None when it failed otherwise."""
    said = said.partition("ERROR: failed to reproduce")[0]
    found = re.search(rf"^({'|'.join(STAGES)}): .*", said, re.MULTILINE | re.DOTALL)
    if "Traceback (most recent call last)" in said or found is None:
        return None
    return found.group(0).strip()


def prepare_without_git(root) -> bool:
    """Configure DVC for a `root` without git; return True if that was needed."""
    root = Path(root).resolve()
    local = root / ".dvc" / "config.local"
    if any((folder / ".git").exists() for folder in (root, *root.parents)) or local.exists():
        return False
    local.parent.mkdir(exist_ok=True)
    local.write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    return True


def copy_code(root, folder) -> None:
    """Copy the code that the stages run, without byte code."""
    root, folder = Path(root), Path(folder)
    ignore = shutil.ignore_patterns(BYTE_CODE, "*.pyc")
    folder.mkdir(parents=True)
    for name in CODE:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=ignore)
        elif (root / name).is_file():
            shutil.copy2(root / name, folder / name)


def link_code(code, folder) -> None:
    """Give `folder` the files of a copy of the code, by links where its disk has them.

    Byte code is linked, too: what a stage compiles in one workspace, the others find.
    """
    code, folder = Path(code), Path(folder)
    folder.mkdir(parents=True)
    for name in CODE:
        if (code / name).is_file():
            _link(code / name, folder / name)
        for inner in sorted((code / name).glob("**/")) if (code / name).is_dir() else ():
            if BYTE_CODE not in inner.parts:
                _link_folder(inner, folder / inner.relative_to(code))


def _link_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            _link(path, target / path.name)
    compiled = source / BYTE_CODE
    compiled.mkdir(exist_ok=True)
    with suppress(OSError):  # a disk without links: each workspace compiles for itself
        (target / BYTE_CODE).symlink_to(compiled)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def make_workspace(code, folder, values: Mapping, *, root) -> Path:
    """Link the code into `folder`, with `values` as params.yaml and the cache of `root`.

    Parameters
    ----------
    code : path-like
        A copy of the repository's code, which nobody edits.
    folder : path-like
        Must not exist; needs no git.
    values : mapping
        A composed configuration; the user's relative paths are relative to `root`.
    root : path-like
        The repository.
    """
    root, folder = Path(root).resolve(), Path(folder).resolve()
    link_code(code, folder)
    _without_ends(folder / "dvc.yaml")
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
        f"    site_cache_dir = {folder / '.dvc' / 'site'}\n"
        f"[cache]\n    dir = {cache_folder(root)}\n    type = reflink,hardlink,copy\n",
        encoding="utf-8",
    )
    write_params(_with_whole_paths(values, root), folder / PARAMS)
    return folder


def _with_whole_paths(values: Mapping, root: Path) -> dict:
    whole = dict(values)
    for section, key in OWN_FILES:
        if values[section].get(key):
            whole[section] = {**whole[section], key: str(root / values[section][key])}
    return whole


def _without_ends(path: Path) -> None:
    """Leave out the stages that compose parameters and record results: a sweep does both itself."""
    pipeline = yaml.safe_load(path.read_text(encoding="utf-8"))
    stages = {name: stage for name, stage in pipeline["stages"].items() if name not in ENDS}
    path.unlink()  # a link to the file of all workspaces
    path.write_text(yaml.safe_dump(pipeline | {"stages": stages}, sort_keys=False), "utf-8")


def check_cache(root) -> None:
    """Refuse a cache that cannot be written before stages run whose results it should keep.

    Raises
    ------
    ConfigError
        Naming the folder that belongs to someone else, or is read-only.
    """
    cache = cache_folder(root)
    for folder in (cache, cache / "files", cache / "files" / "md5", cache / "runs"):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(
                f"DVC's cache {folder}: cannot be written (read-only, or another user's); get the"
                " right to write, or choose another folder: dvc cache dir --local FOLDER"
            )


def cache_folder(root) -> Path:
    """Return the path of the repository's DVC cache (``dvc cache dir``), as an absolute path."""
    settings = Path(root) / ".dvc"
    found = configparser.ConfigParser(interpolation=None)
    found.read([settings / "config", settings / "config.local"], encoding="utf-8")
    return (settings / found.get("cache", "dir", fallback="cache")).resolve()
