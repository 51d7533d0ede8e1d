"""A full disk at every stage: one message, nothing half-written, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.place import Place
from benchmarks.faults.trial import Outcome, Trial
from pipeline.files import ARTIFACTS, PROGRAM
from pipeline.repro.workspace import STAGES

SIZE = "64m"
SPARE = (0, 8 << 10)
"""Bytes left: none, or enough for the small files of a stage."""


def cases(folder: Path, _tries: int) -> Iterator[Outcome]:
    """Yield one outcome for each stage and each number of bytes left."""
    if os.geteuid() != 0:
        return  # only root may mount a small disk
    base = Place.made(folder / "base")
    wanted = (base.root / PROGRAM).read_bytes()
    for stage in STAGES:
        for spare in SPARE:
            disk = folder / "disk"
            disk.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", disk], check=True)
            try:
                yield _one(base.copy(disk / "clone"), stage, spare, wanted)
            finally:
                subprocess.run(["umount", "--lazy", disk], check=True)


def _one(place: Place, stage: str, spare: int, wanted: bytes) -> Outcome:
    """Run a stage on a full disk, make room, and run all of it."""
    _forget(place, stage)
    ballast = place.root / "ballast.log"
    _fill(ballast, spare)
    status, text = place.attempt("python", "-m", f"stages.{stage}")
    torn, ended = place.unreadable(), f"status {status}"
    said = status == 0 or "No space left" in text or "full" in text
    one = "Traceback" not in text and said
    ballast.unlink()
    again, log = place.attempt("dvc", "repro")
    lost = [f"{path} is not whole" for path in torn]
    lost += [] if one else [f"{ended}: {text[-300:]}"]
    lost += [f"the next run has status {again}: {log[-300:]}"] if again else []
    if not again and (place.root / PROGRAM).read_bytes() != wanted:
        lost.append("the next run made another program")
    remains = place.lost(runs=1) if not again else ""
    return Outcome(f"{stage}, {spare} bytes left: {ended}", "; ".join([*lost, *filter(None, [remains])]))


def _forget(place: Place, stage: str) -> None:
    """Remove what the stage wrote, so that it has to write."""
    if stage == "track":
        (place.root / "mlflow.db").unlink()
        shutil.rmtree(place.root / "mlruns")
    elif stage == "compose":
        (place.root / "params.yaml").unlink()
    else:
        place.attempt("dvc", "remove", "--help")
        for path in (place.root / ARTIFACTS).rglob("*"):
            if path.is_file() and _made_by(place, stage, path):
                path.unlink()


def _made_by(place: Place, stage: str, path: Path) -> bool:
    import yaml

    stages = yaml.safe_load((place.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = stages[stage]
    entries = [e for kind in ("outs", "metrics", "plots") for e in found.get(kind, [])]
    names = [e if isinstance(e, str) else next(iter(e)) for e in entries]
    return str(path.relative_to(place.root)) in names


def _fill(path: Path, spare: int) -> None:
    """Write a file until only `spare` bytes are left on its disk."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
    with path.open("r+b") as file:
        file.truncate(max(path.stat().st_size - max(spare - free, 0), 0))


DISK = Trial("disk", "a full disk, at every stage", cases)
