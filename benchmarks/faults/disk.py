"""A full disk at every stage: one message, nothing half-written, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.faults.place import Place
from benchmarks.faults.trial import Outcome, Trial
from pipeline.files import PROGRAM
from pipeline.repro.workspace import STAGES

SIZE = "64m"


def cases(folder: Path, _tries: int, _seed: int) -> Iterator[Outcome]:
    """Yield one outcome for each stage; none without the right to mount a small disk."""
    if os.geteuid() != 0:
        return
    base = Place.made(folder / "base")
    wanted = (base.root / PROGRAM).read_bytes()
    for stage in STAGES:
        disk = folder / stage  # MLflow keeps databases open by their path
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", disk], check=True)
        try:
            yield _one(base.copy(disk / "clone"), stage, wanted)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)


def _one(place: Place, stage: str, wanted: bytes) -> Outcome:
    """Run a stage on a full disk, make room, and run everything."""
    for path in _outputs(place, stage):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if stage == "track":
        (place.root / "mlflow.db").unlink()
        shutil.rmtree(place.root / "mlruns")
    ballast = place.root / "ballast.log"
    _fill(ballast)
    status, text = place.attempt("python", "-m", f"stages.{stage}")
    lost = [f"{path} is not whole" for path in place.unreadable()]
    if status != 1 or "Traceback" in text or not text.strip():
        lost.append(f"status {status}: {text[-500:]}")
    ballast.unlink()
    again, log = place.attempt("dvc", "repro")
    if again:
        lost.append(f"the next run has status {again}: {log[-300:]}")
    elif (place.root / PROGRAM).read_bytes() != wanted:
        lost.append("the next run made another program")
    else:
        lost.append(place.lost(runs=1))
    said = text.strip().splitlines()[-1] if text.strip() else ""
    return Outcome(f"{stage}: {said}", "; ".join(filter(None, lost)))


def _outputs(place: Place, stage: str) -> list[Path]:
    stages = yaml.safe_load((place.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    kinds = ("outs", "metrics", "plots")
    entries = [entry for kind in kinds for entry in stages[stage].get(kind, [])]
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [place.root / name for name in names]


def _fill(path: Path) -> None:
    """Write a file until its disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 12)):
                pass
        except OSError:
            return


DISK = Trial("disk", "a full disk, at every stage", cases)
