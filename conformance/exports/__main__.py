"""Export many models and compare: ``python -m conformance.exports --count 300 --jobs 16``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance import workers
from conformance.exports.results import Results, table
from conformance.exports.work import FORMATS, SOURCES, Task, faulty, run_task, tasks

MODELS_PER_PROCESS = 10
FAILED = {"mismatch", "refused", "fault"}


def main(arguments=None) -> int:
    """Run the comparison; return the exit code: 1 if anything differs, is refused or fails."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.exports",
        description="Compare exported models in other implementations with the emulator.",
    )
    parser.add_argument("--format", choices=FORMATS, default="quantizeml")
    parser.add_argument("--models", choices=SOURCES, nargs="+", default=list(SOURCES))
    parser.add_argument("--count", type=int, default=300, help="number of random networks")
    parser.add_argument("--seed", type=int, default=0, help="of the random networks")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--results", type=Path, help="keep results here; continue from them")
    options = parser.parse_args(arguments)
    todo = tasks(options.format, options.models, options.seed, options.count)
    results = Results(options.results)
    _run([task for task in todo if task not in results.found], results, options.jobs)
    found = results.of(todo)
    for result in found:
        if result["status"] != "equal":
            print(f"{result['source']} {result['label']}: {result['status']}: {result['why']}")
    print(table(found))
    return 1 if FAILED & {result["status"] for result in found} else 0


def _run(todo: list[Task], results: Results, jobs: int) -> None:
    """Run tasks in processes."""
    made = workers.results(run_task, todo, jobs, MODELS_PER_PROCESS)
    for done, (task, result) in enumerate(made, 1):
        results.add(task, faulty(task, result) if isinstance(result, workers.Fault) else result)
        if sys.stderr.isatty():
            print(f"\r{done}/{len(todo)}", end="", file=sys.stderr, flush=True)
    if todo and sys.stderr.isatty():
        print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
