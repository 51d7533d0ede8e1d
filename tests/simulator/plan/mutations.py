"""Plant faults in the plans, one at a time, and report which test finds each.

    python -m tests.simulator.plan.mutations [--jobs N] [PART OF A NAME ...]

A fault is a replaced text in a copy of the code, so that compiled loops contain it too. Each job
has a copy of its own. Prints a table, and exits with code 1 if a fault is not found on a backend
that contains it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from simulator.plan import fast_is_available
from tests.simulator.plan.faults import FAULTS, V1, V2, Fault

ROOT = Path(__file__).resolve().parents[3]
PLANS = "tests/simulator/plan"
SELECTED = "test_drawn_layers or test_guarded_arrays or test_numpy_levels or test_winograd_windows"
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
LAYERS = ("tests/simulator/test_against_reference.py", "tests/simulator/akida_v1/test_reference.py")


def suite(fault: Fault, backend: str) -> tuple[str, ...]:
    """Return the tests that must find a fault; the reference is compared with plain Python."""
    if backend == "reference":
        return LAYERS
    chip = f" and {Path(fault.file).stem}" if fault.file in (V1, V2) else ""
    return (f"{PLANS}/{fault.tests}", "-k", f"({SELECTED}) and {backend}{chip}")


def found_by(fault: Fault, backend: str, tree: Path) -> str | None:
    """Return the first test that fails with a fault in `tree`, a copy of the code."""
    path = tree / "simulator" / fault.file
    original, stamp = path.read_text(encoding="utf-8"), path.stat()
    environment = os.environ | THREADS | {"PYTHONDONTWRITEBYTECODE": "1"}
    path.write_text(fault.planted(original), encoding="utf-8")
    try:
        environment["XDG_CACHE_HOME"] = str(tree / "compiled")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        result = subprocess.run(
            [*command, *suite(fault, backend)], cwd=tree, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    finally:
        path.write_text(original, encoding="utf-8")
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    if result.returncode == 0:
        # Skipped tests: the self-test has refused the backend.
        return None if " passed" in result.stdout else "selftest: the backend is not offered"
    failed = re.search(r"^FAILED \S*?::(\S+)", result.stdout, re.MULTILINE)
    if result.returncode != 1 or failed is None:
        raise RuntimeError(f"{fault.name}: the tests did not run:\n{result.stdout[-2000:]}")
    return failed[1]


def copied(tree: Path) -> Path:
    """Copy the files that the simulator's tests need to `tree`, and return it."""
    without = shutil.ignore_patterns("__pycache__")
    for name in ("simulator", "tests/simulator"):
        shutil.copytree(ROOT / name, tree / name, ignore=without)
    for path in (*ROOT.glob("tests/*.py"), ROOT / "pyproject.toml"):
        shutil.copy2(path, tree / path.relative_to(ROOT))
    return tree


def results(faults, backends, jobs: int = 1) -> Iterator[tuple[Fault, str, str | None]]:
    """Yield each fault on each of its backends, with the test that finds it, as they finish."""
    pairs = [(fault, each) for fault in faults for each in fault.backends if each in backends]
    trees: SimpleQueue[Path] = SimpleQueue()

    def tried(fault, backend):
        tree = trees.get()
        try:
            return fault, backend, found_by(fault, backend, tree)
        finally:
            trees.put(tree)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        for job in range(min(jobs, len(pairs))):
            trees.put(copied(Path(folder) / str(job)))
        for done in as_completed([pool.submit(tried, *pair) for pair in pairs]):
            yield done.result()


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="parts of the names of faults; default: all")
    parser.add_argument("--jobs", type=int, default=1, help="faults tried at the same time")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; it must be at least 1")
    return options


def main(arguments: list[str]) -> int:
    """Print the table of the faults whose names contain one of the parts, or of all."""
    options = parsed(arguments)
    parts = options.parts
    backends = {"numpy", "fast", "reference"} if fast_is_available() else {"numpy", "reference"}
    chosen = [fault for fault in FAULTS if not parts or any(part in fault.name for part in parts)]
    if not chosen:
        print(f"no fault has '{', '.join(parts)}' in its name", file=sys.stderr)
        return 1
    width = max(len(fault.name) for fault in FAULTS)
    missed = count = 0
    for fault, backend, test in results(chosen, backends, options.jobs):
        count, missed = count + 1, missed + (test is None)
        print(f"{fault.name:{width}}  {backend:9}  {test or 'NOT FOUND'}", flush=True)
    print(f"{count - missed} of {count} found: {len(chosen)} faults")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
