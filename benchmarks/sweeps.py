"""Measure and stress sweeps: ``python -m benchmarks.sweeps time``, ``overhead``, ``kill``.

``time`` runs six points on digits in one process and in two. ``overhead`` measures the time of a
point beyond its stages. ``kill [tries] [seed]`` kills sweeps at random times, restarts them, and
checks for lost, duplicated or partial results.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults.place import Place
from pipeline.repro.workspace import copy_code
from pipeline.tracking.address import local_store
from pipeline.tracking.figures import figures
from pipeline.tracking.store import EXPERIMENT, PARENT, SWEEP

GRID = ("transforms=none", "quantization=both_w4a4", "target=akida_v1")
SIX = (*GRID, "quantization.weight_bits=2,4,8", "quantization.activation_bits=2,4")
OWN_STAGES = ("quantize", "convert", "evaluate")
"""Stages that no two points of `SIX` share."""
ENDINGS = {"finished": "FINISHED", "refused": "FAILED"}
"""Status of a point's run in MLflow, by its outcome."""
TINY = (
    "training.epochs=0",
    "data.train_samples=40",
    "data.test_samples=20",
    "quantization.calibration.samples=20",
    "quantization.calibration.batch_size=10",
)


def main() -> None:
    """Run the selected task in a copy of the repository."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", nargs="?", choices=("time", "overhead", "kill"), default="time")
    parser.add_argument("numbers", nargs="*", type=int, help="for kill: tries, seed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweeps ") as folder:
        root = Path(folder) / "repository"
        copy_code(Path.cwd(), root)
        tasks = {"time": compare_launchers, "overhead": measure_overhead, "kill": kill_and_resume}
        tasks[options.task](root, *options.numbers)


def compare_launchers(root: Path) -> None:
    """Compare a sweep in one process with one in two, each with an empty cache."""
    times = {}
    for seed, (name, more) in enumerate(
        {
            "one process": ["hydra/launcher=basic"],
            "joblib, 2 jobs": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        }.items()
    ):
        start = time.monotonic()
        run(root, *SIX, f"seed={seed}", *more)
        times[name] = time.monotonic() - start
        seconds = [point["seconds"] for point in outcomes(newest(root)).values()]
        print(f"{name}: {times[name]:.1f} s; points {' '.join(f'{s:.1f}' for s in seconds)}")
    print(f"ratio {times['joblib, 2 jobs'] / times['one process']:.2f}")


def measure_overhead(root: Path) -> None:
    """Measure the time of a point beyond its own stages, when it runs and when it is cached.

    Run: time of the point less that of its stages' commands without DVC, in its workspace.
    Cached: additional time per point of a sweep of six points over one of a single point.
    """
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    run(root, *SIX)
    more = []
    for key, point in outcomes(newest(root)).items():
        if point["number"] == 0:  # it trains
            continue
        workspace = newest(root) / "points" / key / "workspace"
        start = time.monotonic()
        for stage in OWN_STAGES:
            command = [sys.executable, "-m", f"stages.{stage}"]
            subprocess.run(command, cwd=workspace, check=True, stdout=subprocess.DEVNULL)
        more.append(point["seconds"] - (time.monotonic() - start))
    print(f"run: {' '.join(f'{seconds:.1f}' for seconds in more)} s above the stages")
    spent = {}
    for points, arguments in ((1, GRID), (6, SIX)):
        run(root, *arguments)
        spent[points] = [], []
        for _ in range(2):
            before, start = processor_seconds(), time.monotonic()
            run(root, *arguments)
            spent[points][0].append(time.monotonic() - start)
            spent[points][1].append(processor_seconds() - before)
    wall, cpu = ((min(six) - min(one)) / 5 for six, one in zip(spent[6], spent[1], strict=True))
    print(f"from the cache: {wall:.2f} s, of which the processor works {cpu:.2f} s")
    print(
        f"a sweep of one point from the cache: {min(spent[1][0]):.1f} s, {min(spent[1][1]):.1f} s"
    )


def processor_seconds() -> float:
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kill_and_resume(root: Path, tries: int = 20, seed: int = 0) -> None:
    """Kill a sweep or one of its workers, resume the sweep, and verify its results."""
    rng = random.Random(seed)
    wanted = {}
    for number in range(tries):
        launcher = rng.choice(("basic", "joblib"))
        arguments = (*GRID, *TINY, f"seed={number}", f"hydra/launcher={launcher}")
        arguments += ("quantization.weight_bits=2,4,8",)
        process = start(root, *arguments)
        delay = rng.uniform(0.5, 20)
        time.sleep(delay)
        victim = rng.choice(("command", "worker"))
        pids = descendants(process.pid)
        pid = process.pid if victim == "command" or not pids else rng.choice(pids)
        alive = process.poll() is None
        if alive:
            kill(pid)
        status = process.wait()
        again = 0
        while status:
            again += 1
            status = start(root, *arguments).wait()
            if again > 3:
                raise SystemExit(f"try {number}: the sweep fails repeatedly")
        wanted[number] = verify(root, number)
        what = f"{victim} {'killed' if alive else 'had ended'} after {delay:.1f} s"
        print(f"try {number}: {launcher}, {what}, {again} restarts: {wanted[number]}", flush=True)
    print(f"{tries} tries: one complete run per point, no partial file")


def verify(root: Path, seed: int) -> str:
    """Verify the newest sweep of one seed on disk and in MLflow's store."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=local_store(root))
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = client.search_runs([experiment], max_results=5000)
    parents = [r for r in runs if r.data.tags.get(SWEEP) and r.data.params.get("seed") == str(seed)]
    assert len(parents) == 1, f"{len(parents)} sweeps"
    assert parents[0].info.status == "FINISHED", parents[0].info.status
    points = [r for r in runs if r.data.tags.get(PARENT) == parents[0].info.run_id]
    bits = sorted(r.data.params["quantization.weight_bits"] for r in points)
    assert bits == ["2", "4", "8"], bits
    known = {o["params"]["quantization.weight_bits"]: o for o in outcomes(newest(root)).values()}
    for point in points:
        expected = known[point.data.params["quantization.weight_bits"]]
        assert point.info.status == ENDINGS[expected["state"]], expected["reason"]
        if expected["state"] == "refused":  # untrained, some have registers beyond the chip's
            continue
        assert point.data.metrics == figures(expected["metrics"])
        files = {f.path for f in client.list_artifacts(point.info.run_id)}
        assert {"program.npz", "metrics", "plots", "model", "params.yaml"} <= files, files
    torn = Place(root).unreadable()
    assert not torn, torn
    return "3 points"


def outcomes(folder: Path) -> dict[str, dict]:
    """Return the outcomes of a sweep's points; all must be readable."""
    paths = folder.glob("points/*/outcome.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def newest(root: Path) -> Path:
    """Return the folder of the newest sweep."""
    return max(path.parent for path in (root / "multirun").glob("*/sweep.json"))


def run(root: Path, *arguments: str) -> None:
    """Run a sweep to completion."""
    status = start(root, *arguments).wait()
    if status:
        raise SystemExit(f"status {status}")


def start(root: Path, *arguments: str) -> subprocess.Popen:
    """Start a sweep."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with (root / "log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "-m", *arguments],
            cwd=root,
            env=os.environ | {"PATH": path},
            stdout=log,
            stderr=log,
        )


def descendants(pid: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [p for child in map(int, children) for p in (child, *descendants(child))]


def kill(pid: int) -> None:
    """Kill a process if it still runs."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main()
