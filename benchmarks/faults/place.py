"""Copies of a small repository that has run once, and what to check in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

from pipeline.tracking.address import local_store
from pipeline.tracking.store import EXPERIMENT, FINGERPRINT, PARENT
from tests.repository import Repository

COMPLETE = {"program.npz", "summary.txt", "params.yaml", "metrics", "plots", "model"}
FRONT = ("python", "-m", "pipeline")
MAGIC = {".png": b"\x89PNG", ".npz": b"PK"}


class Place:
    """A repository with a tiny configuration, or a copy of one."""

    def __init__(self, root: Path):
        self.root = root

    @classmethod
    def made(cls, root: Path) -> Place:
        """Make a repository, run it once, and commit what it wrote."""
        repository = Repository(root)
        with (root / ".gitignore").open("a") as file:
            file.write("builds.log\n*.log\n")
        repository.run("dvc", "repro")
        repository.run("git", "add", "--all")
        repository.run("git", "commit", "--quiet", "--message=ran")
        return cls(root)

    def copy(self, root: Path) -> Place:
        """Copy everything, the cache and the store included."""
        shutil.copytree(self.root, root, symlinks=True)
        return Place(root)

    def attempt(self, *command, within=(), **environment) -> tuple[int, str]:
        """Run a command, if need be `within` another one; return its status and its output."""
        result = subprocess.run(
            [*within, *command],
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    def launch(self, *command) -> None:
        """Run a command that leaves a process running, which would keep a pipe open."""
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, cwd=self.root, env=self.environment(), check=False, **silent)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a user's terminal."""
        return Repository.environment(self, **more)

    def unreadable(self) -> list[str]:
        """Return the files among artifacts and sweeps that are not whole."""
        folders = [self.root / name for name in ("artifacts", "multirun", "mlruns")]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return [str(path) for path in files if path.name[0] != "." and not _is_whole(path)]

    def lost(self, store: str | None = None, runs: int | None = None) -> str:
        """Return what is lost: files that are not whole, runs recorded twice or in part."""
        problems = [f"{path} is not whole" for path in self.unreadable()]
        found = recorded(store or local_store(self.root))
        keys = Counter((tags.get(FINGERPRINT), tags.get(PARENT)) for tags, _ in found)
        problems += [f"{count} equal runs" for count in keys.values() if count > 1]
        problems += [f"a run has only {kept}" for _, kept in found if not kept >= COMPLETE]
        if runs is not None and len(found) != runs:
            problems.append(f"{len(found)} runs, not {runs}")
        return "; ".join(problems)


def recorded(store: str) -> list[tuple[dict, set[str]]]:
    """Return the tags and the artifacts of all finished runs that hold a program."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return [
        (run.data.tags, {file.path for file in client.list_artifacts(run.info.run_id)})
        for run in runs
        if run.info.status == "FINISHED" and FINGERPRINT in run.data.tags
    ]


def one_message(text: str, *words: str) -> bool:
    """Return whether an output without traceback has a message with all of `words`.

    A message is a line with those that are indented after it, as wide messages are wrapped.
    """
    messages = [" ".join(message.split()) for message in re.split(r"\n(?!\s)", text)]
    found = any(all(word in message for word in words) for message in messages)
    return found and "Traceback" not in text


def _is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        return path.read_bytes().startswith(MAGIC.get(path.suffix, b""))
    except (ValueError, OSError, zipfile.BadZipFile):
        return False
