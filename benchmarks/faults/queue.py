"""SIGKILL of the worker of DVC's queue of experiments at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.place import Place
from benchmarks.faults.trial import Outcome, Trial

LONGEST = 25.0
"""Seconds until the latest kill: about the duration of both experiments."""
PATIENCE = 600.0
WIDTHS = (4, 8)
"""Bits of the weights of the queued experiments."""
WORKER = b"queue-worker"


def cases(folder: Path, tries: int, seed: int) -> Iterator[Outcome]:
    """Yield one outcome per kill; the queue is then emptied, filled and run again."""
    base, rng = Place.made(folder / "base"), random.Random(seed)
    for number in range(1, tries + 1):
        delay, whole = rng.uniform(0.2, LONGEST), rng.random() < 0.5
        what = "the worker and its processes" if whole else "the worker"
        _start(base, number)
        killed = _kill(base, delay, whole)
        torn = base.unreadable()
        base.attempt("dvc", "queue", "remove", "--all")
        _start(base, number)
        ended = _wait(lambda: _finished(base))
        lost = torn or ([] if ended else [base.attempt("dvc", "queue", "status")[1]])
        lost = "; ".join(lost) or base.lost(runs=1 + number * len(WIDTHS))
        base.attempt("dvc", "queue", "remove", "--all")
        yield Outcome(f"{what} {'killed' if killed else 'ended'} after {delay:.1f} s", lost)
    _end(base)  # the folder is removed next, and a worker may still write there


def _start(place: Place, number: int) -> None:
    """Queue the experiments of one try, and start a worker."""
    for bits in WIDTHS:
        choices = ("-S", f"seed={number}", "-S", f"quantization.weight_bits={bits}")
        place.attempt("dvc", "exp", "run", "--queue", *choices)
    place.launch("dvc", "queue", "start")


def _finished(place: Place) -> bool:
    """Return whether all experiments ended well; start a worker where DVC's ended too early."""
    status = place.attempt("dvc", "queue", "status")[1]
    if "Queued" in status and not _processes(place, WORKER):
        place.launch("dvc", "queue", "start")
    return status.count("Success") == len(WIDTHS)


def _kill(place: Place, delay: float, whole: bool) -> bool:
    """Kill the workers of a place some time after their start; return whether any was running."""
    _wait(lambda: _processes(place, WORKER))
    time.sleep(delay)
    workers = _processes(place, WORKER)
    _end(place, b"" if whole else WORKER)
    return bool(workers)


def _end(place: Place, word: bytes = b"") -> None:
    """Kill the processes of a place that have a word in their command; wait for all others."""
    for pid in _processes(place, word):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: not _processes(place, b""))


def _processes(place: Place, word: bytes) -> list[int]:
    """Return the processes that work within a place and have a word in their command."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = (process / "cwd").resolve(strict=True).is_relative_to(place.root.resolve())
            if inside and word in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def _wait(condition) -> bool:
    """Return whether a condition became true in time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


QUEUE = Trial("queue", "SIGKILL of the worker of the queue of experiments", cases, 20)
