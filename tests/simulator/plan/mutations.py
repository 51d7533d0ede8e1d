"""Plant faults in the plans, one at a time, and report which test finds each.

    python -m tests.simulator.plan.mutations [PART OF A NAME ...]

A fault is a replaced text in a copy of the code, so that compiled loops contain it too. Prints a
table, and exits with code 1 if a fault is not found on a backend that contains it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from simulator.plan import fast_is_available
from tests.simulator.plan.faults import FAULTS, V1, V2, Fault

ROOT = Path(__file__).resolve().parents[3]
PLANS = "tests/simulator/plan/test_drawn_layers.py"
LAYERS = ("tests/simulator/test_against_reference.py", "tests/simulator/akida_v1/test_reference.py")


def suite(fault: Fault, backend: str) -> tuple[str, ...]:
    """Return the tests that must find a fault; the reference is compared with plain Python."""
    if backend == "reference":
        return LAYERS
    chip = f" and {Path(fault.file).stem}" if fault.file in (V1, V2) else ""
    return (PLANS, "-k", f"test_drawn_layers and {backend}{chip}")


def found_by(fault: Fault, backend: str, tree: Path) -> str | None:
    """Return the first test that fails with a fault in `tree`, a copy of the code."""
    path = tree / "simulator" / fault.file
    original, stamp = path.read_text(encoding="utf-8"), path.stat()
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
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


def results(faults, backends) -> Iterator[tuple[Fault, str, str | None]]:
    """Yield each fault on each of its backends, with the test that finds it."""
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        for fault in faults:
            for backend in fault.backends:
                if backend in backends:
                    yield fault, backend, found_by(fault, backend, tree)


def main(parts: list[str]) -> int:
    """Print the table of the faults whose names contain one of `parts`, or of all."""
    backends = {"numpy", "fast", "reference"} if fast_is_available() else {"numpy", "reference"}
    chosen = [fault for fault in FAULTS if not parts or any(part in fault.name for part in parts)]
    if not chosen:
        print(f"no fault has '{', '.join(parts)}' in its name", file=sys.stderr)
        return 1
    width = max(len(fault.name) for fault in FAULTS)
    missed = count = 0
    for fault, backend, test in results(chosen, backends):
        count, missed = count + 1, missed + (test is None)
        print(f"{fault.name:{width}}  {backend:9}  {test or 'NOT FOUND'}", flush=True)
    print(f"{count - missed} of {count} found: {len(chosen)} faults")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
