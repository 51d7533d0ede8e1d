"""Places where a repository may be: other folders, other repositories, names, caches, stores."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.faults.place import FRONT, Place, one_message
from benchmarks.faults.trial import Outcome, Trial

FOUR = "quantization.weight_bits=4"
WITHOUT_RIGHTS = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search,-fowner",
    "--inh-caps=-all",
)
"""As root, run a command that may write only its own files, like any other user."""
WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")
NOBODY = 65534


def cases(folder: Path, _tries: int, _seed: int) -> Iterator[Outcome]:
    """Yield one outcome per place."""
    base = Place.made(folder / "base")
    kinds = (_worktree, _inside_another, _moved, _names, _folder_store, _foreign_cache, _offline)
    for case in kinds:
        outcome = case(base, folder / case.__name__)
        if outcome is not None:
            yield outcome


def _worktree(base: Place, folder: Path) -> Outcome:
    base.attempt("git", "worktree", "add", "--quiet", str(folder))
    place = Place(folder)
    status, text = place.attempt("dvc", "exp", "run", "-S", FOUR)
    lost = f"status {status}: {text[-300:]}" if status else place.lost(runs=1)
    return Outcome("an experiment in a git worktree", lost)


def _inside_another(base: Place, folder: Path) -> Outcome:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    place = base.copy(folder / "inner")
    shutil.rmtree(place.root / ".git")
    status, text = place.attempt(*FRONT, FOUR)
    lost = f"status {status}: {text[-300:]}" if status else place.lost(runs=2)
    return Outcome("a copy inside another repository", lost)


def _moved(base: Place, folder: Path) -> Outcome:
    place = base.copy(folder / "before")
    place.root = place.root.rename(folder / "with späce = after")
    status, text = place.attempt(*FRONT, FOUR)
    lost = f"status {status}: {text[-300:]}" if status else place.lost(runs=2)
    return Outcome("a repository moved after its first run", lost)


def _names(base: Place, folder: Path) -> Outcome:
    place = base.copy(folder)
    data = Path("dätä=1") / "bilder 画(1).npz"
    (place.root / data.parent).mkdir()
    images(place.root / data)
    chosen = ("data=arrays", f"data.path={data}")
    lost = ""
    for command in ((*FRONT, *chosen), (*FRONT, "-m", *chosen, "quantization.weight_bits=4,8")):
        status, text = place.attempt(*command)
        lost += f"status {status}: {text[-300:]}" if status else ""
    return Outcome("paths with =, spaces and other letters", lost or place.lost(runs=4))


def _folder_store(base: Place, folder: Path) -> Outcome:
    place, lost = base.copy(folder), ""
    for command in (FRONT, (*FRONT, "-m", "seed=1,2")):
        status, text = place.attempt(*command, MLFLOW_TRACKING_URI="./mlruns")
        if status != 1 or not one_message(text, "MLFLOW_TRACKING_URI=sqlite:///"):
            lost += f"status {status}: {text[-300:]}"
    return Outcome("MLFLOW_TRACKING_URI=./mlruns: refused", lost or place.lost(runs=1))


def _foreign_cache(base: Place, folder: Path) -> Outcome | None:
    if os.geteuid() != 0 or not shutil.which(WITHOUT_RIGHTS[0]):
        return None
    place = base.copy(folder)
    for path in (place.root / ".dvc/cache", *(place.root / ".dvc/cache").rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    lost, advice = "", ("DVC's cache", "cannot be written", "dvc cache dir")
    for command in ((*FRONT, FOUR), (*FRONT, "-m", "seed=1,2")):
        status, text = place.attempt(*command, within=WITHOUT_RIGHTS)
        if status != 1 or not one_message(text, *advice):
            lost += f"status {status}: {text[-300:]}"
    status, text = place.attempt("dvc", "repro", within=WITHOUT_RIGHTS)
    lost += f"nothing to do, but status {status}: {text[-300:]}" if status else ""
    return Outcome("another user's cache: refused, or only read", lost or place.lost(runs=1))


def _offline(base: Place, folder: Path) -> Outcome | None:
    place = base.copy(folder)
    if not shutil.which(WITHOUT_NETWORK[0]) or place.attempt("true", within=WITHOUT_NETWORK)[0]:
        return None
    lost = ""
    for command in ((*FRONT, FOUR), (*FRONT, "-m", "quantization.weight_bits=2,4")):
        status, text = place.attempt(*command, within=WITHOUT_NETWORK)
        lost += f"status {status}: {text[-300:]}" if status else ""
    return Outcome("a run and a sweep without any network", lost or place.lost(runs=4))


def images(path: Path) -> None:
    """Write a few images like those of the tiny configuration."""
    rng = np.random.default_rng(0)
    np.savez(
        path,
        x_train=rng.integers(0, 256, (40, 8, 8, 1), np.uint8),
        x_test=rng.integers(0, 256, (20, 8, 8, 1), np.uint8),
        y_train=np.arange(40) % 10,
        y_test=np.arange(20) % 10,
    )


PLACES = Trial("places", "other folders, repositories, names, caches and stores", cases)
