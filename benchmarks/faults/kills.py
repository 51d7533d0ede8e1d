"""SIGKILL of a pipeline at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.place import FRONT, Place
from benchmarks.faults.trial import Outcome, Trial

LONGEST = 20.0
"""Seconds until the latest kill: about the duration of a run."""
ATTEMPTS = 10
"""A run that is killed as often in a row may end in peace."""


def cases(folder: Path, tries: int, seed: int) -> Iterator[Outcome]:
    """Yield one outcome per kill; a killed run is started again until it ends."""
    base, rng = Place.made(folder / "base"), random.Random(seed)
    runs = kills = 0
    while kills < tries:
        runs += 1
        command = (*FRONT, f"seed={runs}")
        for attempt in range(ATTEMPTS):
            delay = rng.uniform(0.2, LONGEST) if attempt < ATTEMPTS - 1 else 10 * LONGEST
            victim = rng.choice(("command", "all its processes"))
            status = _killed(base, command, delay, victim)
            if status == 0:
                break
            kills += 1
            torn = base.unreadable()
            yield Outcome(f"{victim} killed after {delay:.1f} s", "; ".join(torn))
        status, text = base.attempt(*command)
        lost = f"status {status}: {text[-300:]}" if status else base.lost(runs=runs + 1)
        yield Outcome(f"run {runs} is complete, and recorded once", lost)


def _killed(place: Place, command, delay: float, victim: str) -> int:
    """Start a command, kill it after some time, and return its status."""
    process = subprocess.Popen(
        command,
        cwd=place.root,
        env=place.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + delay
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    if process.poll() is None:
        if victim == "command":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    end_group(process.pid)
    return status


def end_group(group: int) -> None:
    """Wait until the processes that outlive the command have ended."""
    end = time.monotonic() + 10 * LONGEST
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)


KILLS = Trial("kills", "SIGKILL of a run, or of all its processes", cases, 100)
