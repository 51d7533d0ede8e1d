"""Run the trials: ``python -m benchmarks.faults [NAME...] [--tries N] [--seed N]``.

Prints every try, and a line with the numbers of tries and losses for each kind of fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.disk import DISK
from benchmarks.faults.kills import KILLS
from benchmarks.faults.places import PLACES
from benchmarks.faults.queue import QUEUE
from benchmarks.faults.servers import SERVERS
from benchmarks.faults.stores import STORES
from benchmarks.faults.trial import Trial

TRIALS = {trial.name: trial for trial in (STORES, PLACES, DISK, SERVERS, KILLS, QUEUE)}


def main() -> int:
    """Run the chosen trials; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TRIALS)}")
    parser.add_argument("--tries", type=int, help="number of tries, where it is free")
    parser.add_argument("--seed", type=int, default=0, help="of random moments")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(TRIALS))
    if unknown:
        parser.error(f"{unknown[0]}: unknown; allowed: {', '.join(TRIALS)}")
    lost = [_run(TRIALS[name], options.tries, options.seed) for name in options.names or TRIALS]
    return 1 if any(lost) else 0


def _run(trial: Trial, tries: int | None, seed: int) -> int:
    """Run one trial in a new folder; return the number of losses."""
    count = losses = 0
    with tempfile.TemporaryDirectory(prefix="faults ") as folder:
        for outcome in trial.run(Path(folder), tries or trial.tries, seed):
            count += 1
            losses += bool(outcome.lost)
            print(f"  {outcome.what}: {outcome.lost or 'nothing lost'}", flush=True)
    print(f"{trial.name}: {trial.fault}: {count} tries, {losses} losses", flush=True)
    return losses


if __name__ == "__main__":
    sys.exit(main())
