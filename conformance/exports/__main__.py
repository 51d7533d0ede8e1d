"""Export many models and compare: ``python -m conformance.exports --count 300 --seed 0``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from multiprocessing import get_context

from conformance.exports.work import SOURCES, run_task, tasks

MODELS_PER_PROCESS = 25
FORMATS = ("quantizeml", "onnx")


def main(arguments=None) -> int:
    """Run the comparison and return the exit code: 1 if anything differs or is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.exports",
        description="Compare exported models in other implementations with the emulator.",
    )
    parser.add_argument("--format", choices=FORMATS, default="quantizeml")
    parser.add_argument("--models", choices=SOURCES, nargs="+", default=["random"])
    parser.add_argument("--count", type=int, default=300, help="number of random networks")
    parser.add_argument("--seed", type=int, default=0, help="of the random networks")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    todo = tasks(options.format, options.models, options.seed, options.count)
    totals, statuses = Counter(), Counter()
    # TensorFlow never frees the memory of a model; ending the process does.
    with get_context("spawn").Pool(options.jobs, maxtasksperchild=MODELS_PER_PROCESS) as pool:
        for name, result in pool.imap(run_task, todo):
            statuses[result["status"]] += 1
            totals.update({key: result.get(key, 0) for key in ("tensors", "values", "outputs")})
            totals["equivalent"] += result.get("form") == "equivalent"
            if result["status"] != "equal":
                print(f"{name}: {result['status']}: {result['why']}", flush=True)
    shown = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    print(f"{sum(statuses.values())} models for {options.format}: {shown}")
    print(
        f"{totals['tensors']:,} tensors, {totals['values']:,} integers and"
        f" {totals['outputs']:,} outputs compared; {totals['equivalent']} in an equivalent form"
    )
    return 1 if statuses["mismatch"] or statuses["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
