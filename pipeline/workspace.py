"""Folders in which `dvc repro` runs: the repository itself, or a copy for one point of a sweep."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.config.compose import write_params
from pipeline.errors import CrossgradeError
from pipeline.files import PARAMS

CODE = ("conf", "pipeline", "simulator", "stages", "dvc.yaml", ".dvcignore")
KEEP_PARAMS = "CROSSGRADE_KEEP_PARAMS"


class StageFailed(CrossgradeError):
    """A stage refused; it has said why."""


def reproduce(folder, *stages: str, quiet: bool = False) -> None:
    """Run ``dvc repro`` in `folder` for `stages` (all when none), with params.yaml as it is.

    Raises
    ------
    StageFailed
        When a stage fails; its own message stands above.
    """
    bin_folder = str(Path(sys.executable).parent)
    path = os.pathsep.join((bin_folder, os.environ.get("PATH", "")))
    command = [sys.executable, "-m", "dvc", "repro", *(["--quiet"] if quiet else []), *stages]
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, KEEP_PARAMS: "1"},
        check=False,
        capture_output=quiet,
        text=True,
    )
    if result.returncode:
        tail = (result.stderr or "").strip().splitlines()
        said = f" ({'; '.join(tail)})" if tail else ""
        raise StageFailed(f"dvc repro stopped with status {result.returncode}{said}")


def make_workspace(root, folder, values: Mapping) -> Path:
    """Make a copy of the code in `folder`, with `values` as params.yaml and the cache of `root`.

    Parameters
    ----------
    root : path-like
        The repository.
    folder : path-like
        Made new; needs no git.
    values : mapping
        A composed configuration; a relative ``data.path`` is taken from `root`.
    """
    root, folder = Path(root).resolve(), Path(folder).resolve()
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in CODE:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=ignore)
        elif (root / name).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
        f"[cache]\n    dir = {root / '.dvc' / 'cache'}\n    type = reflink,hardlink,copy\n",
        encoding="utf-8",
    )
    data = dict(values["data"])
    if data.get("path"):
        data["path"] = str(root / data["path"])
    write_params({**values, "data": data}, folder / PARAMS)
    return folder
