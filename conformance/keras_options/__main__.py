"""Try every option of all layers: ``python -m conformance.keras_options --report report.json``."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from conformance.keras_options.examine import DIFFERENT
from conformance.keras_options.report import print_table
from conformance.keras_options.work import CASES_PER_PROCESS, count, run

GENERATIONS = ("tf_keras", "keras")


def main(arguments=None) -> int:
    """Run the enumeration and return the exit code: 1 if any file is read as another model."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.keras_options",
        description="Write models with every option of every layer, read them, compare outputs.",
    )
    parser.add_argument("--every", type=int, default=1, help="take every n-th model")
    parser.add_argument("--group", help="only this class of layers, or kind of networks")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--report", type=Path, help="write every file's result as JSON")
    options = parser.parse_args(arguments)
    # TensorFlow never frees the memory of a model; ending the process does.
    with get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        rows = []
        for generation in GENERATIONS:
            counting = partial(count, generation, options.group, options.every)
            starts = range(0, pool.apply(counting), CASES_PER_PROCESS)
            work = partial(run, generation, options.group, options.every)
            for done in pool.imap(work, starts):
                rows += done
                wrong = sum(row["status"] == DIFFERENT for row in rows)
                print(f"{len(rows)} files, {wrong} different", file=sys.stderr, flush=True)
    different = print_table(rows)
    if options.report:
        options.report.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
