"""Several clones that record to one new database at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.place import Place, recorded
from benchmarks.faults.trial import Outcome, Trial
from pipeline.files import PARAMS
from pipeline.tracking.store import FINGERPRINT

CLONES = 3
"""Two of them record the same run."""


def cases(folder: Path, tries: int, _seed: int) -> Iterator[Outcome]:
    """Yield one outcome for each new database."""
    base = Place.made(folder / "base")
    clones = [base.copy(folder / f"clone{number}") for number in range(CLONES)]
    params = clones[0].root / PARAMS
    params.write_text(params.read_text(encoding="utf-8").replace("seed: 0", "seed: 1"))
    for number in range(tries):
        shared = folder / f"shared {number}"
        shared.mkdir()
        yield _one(clones, f"sqlite:///{shared / 'mlflow.db'}")


def _one(clones: list[Place], store: str) -> Outcome:
    command = ("python", "-m", "stages.track")
    processes = [
        subprocess.Popen(
            command,
            cwd=clone.root,
            env=clone.environment(MLFLOW_TRACKING_URI=store),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for clone in clones
    ]
    said = [process.communicate()[0] for process in processes]
    lost = [text[-300:] for text, p in zip(said, processes, strict=True) if p.returncode]
    lost.append(clones[0].lost(store))
    if (found := len({tags[FINGERPRINT] for tags, _ in recorded(store)})) != 2:
        lost.append(f"{found} different runs, not 2")
    return Outcome(f"{CLONES} clones, a new database", "; ".join(filter(None, lost)))


STORES = Trial("stores", "clones that record to one new database at once", cases, 5)
