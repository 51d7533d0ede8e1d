"""Compare many random networks: ``python -m conformance --count 300 --report report.json``."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from conformance import workers
from conformance.examine import examine
from conformance.report import print_report

NETWORKS_PER_PROCESS = 25


def main(arguments=None) -> int:
    """Run the comparison and return the exit code: 1 if anything differs or fails."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Compare the emulator with QuantizeML on random networks.",
    )
    parser.add_argument("--count", type=int, default=30, help="number of networks")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run")
    parser.add_argument("--first", type=int, default=0, help="index of the first network")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--report", type=Path, help="write all findings as JSON")
    options = parser.parse_args(arguments)
    indices = range(options.first, options.first + options.count)
    results = []
    work = partial(examine, options.seed)
    for index, result in workers.results(work, indices, options.jobs, NETWORKS_PER_PROCESS):
        if isinstance(result, workers.Fault):
            result = {"index": index, "status": "fault", "why": result.why}
        results.append(result)
        if result["status"] != "equal":
            print(f"{index}: {result['status']}: {result['why']}", flush=True)
        elif sys.stderr.isatty():
            print(f"\r{len(results)}/{options.count}", end="", file=sys.stderr, flush=True)
    results.sort(key=lambda result: result["index"])
    summary = print_report(results, options.seed)
    if options.report:
        options.report.write_text(json.dumps({**summary, "networks": results}, indent=1) + "\n")
    return 1 if summary["mismatch"] or summary["fault"] else 0


if __name__ == "__main__":
    sys.exit(main())
