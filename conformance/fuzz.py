"""Fuzz every importer with damaged files: ``python -m conformance.fuzz --count 10000 --seed 1``.

Each file must be read, or refused with one clear error, in bounded time and memory. Anything else
is a fault: another exception, a crash, or exceeding the time limit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from conformance.damage import damaged
from conformance.fuzz_samples import make_samples

LIMIT_SECONDS = 10
"""Limit of processor time for one file."""
LIMIT_BYTES = 4 << 30
"""Limit of address space for the process that reads files."""


def main(arguments=None) -> int:
    """Run; keep the files that cause faults, and return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m conformance.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="number of files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", help="only samples whose name contains this")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_faults"), help="folder for faults")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        samples = make_samples(Path(folder))
        wanted = options.kind or [""]
        samples = [path for path in samples if any(kind in path.name for kind in wanted)]
        return _report(Run(samples, options.seed, options.count, options.keep))


def _report(run: Run) -> int:
    outcomes = run.run()
    width = max(map(len, outcomes), default=0)
    kinds = ("read", "refused", "fault", "slow", "crash")
    print("  ".join(["sample".ljust(width), *(kind.rjust(7) for kind in kinds)]))
    for name, count in sorted(outcomes.items()):
        print("  ".join([name.ljust(width), *(f"{count[kind]:7}" for kind in kinds)]))
    total = sum(outcomes.values(), Counter())
    bad = sum(total[kind] for kind in kinds[2:])
    print(f"{total.total()} files: {total['read']} read, {total['refused']} refused, {bad} faults;")
    print(f"the slowest took {run.slowest:.1f} s, memory at most {run.memory >> 10} MiB", end="")
    print(f"; seed {run.seed}")
    return 1 if bad else 0


class Run:
    """Fuzzing run: a child process reads the files, and is replaced if it hangs or dies.

    Parameters
    ----------
    samples : list of path
        Valid files, which are damaged in turn.
    seed, count : int
        Seed of the damage; number of files.
    keep : path
        Folder for files that cause faults.
    reader : function of a pipe
        Reads files in the child process, as `serve`.

    Attributes
    ----------
    slowest : float
        Processor seconds of the slowest file.
    memory : int
        Largest resident memory in KiB of the process that reads files.
    """

    def __init__(self, samples: list[Path], seed: int, count: int, keep: Path, reader=None):
        self.samples, self.seed, self.count, self.keep = samples, seed, count, keep
        self.reader = reader or serve
        self.outcomes: dict[str, Counter] = {path.name: Counter() for path in samples}
        self.slowest, self.memory = 0.0, 0

    def run(self) -> dict[str, Counter]:
        """Return the outcomes by sample."""
        context = multiprocessing.get_context("spawn")
        index = 0
        while index < self.count:
            ours, theirs = context.Pipe()
            child = context.Process(target=self.reader, args=(theirs,), daemon=True)
            child.start()
            theirs.close()
            ours.recv()  # it has started, which may take longer than a file
            index = self._feed(ours, child, index)
            child.kill()
            child.join()
        return self.outcomes

    def _feed(self, pipe, child, index: int) -> int:
        """Send files to the child until one hangs or kills it; return the next file's index."""
        while index < self.count:
            sample = self.samples[index % len(self.samples)]
            content, way = damaged(sample.read_bytes(), random.Random(f"{self.seed}/{index}"))
            path = sample.with_name(f"damaged{sample.suffix}")
            path.write_bytes(content)
            pipe.send((str(path), sample.name))
            try:
                outcome, why, seconds, memory = self._reply(pipe, child)
            except (EOFError, ConnectionError):
                outcome, why, seconds, memory = "crash", "the process ended", 0.0, 0
            self.outcomes[sample.name][outcome] += 1
            self.slowest, self.memory = max(self.slowest, seconds), max(self.memory, memory)
            if outcome not in ("read", "refused"):
                self._keep(f"{self.seed}-{index}-{way}-{sample.name}", content, f"{outcome}: {why}")
            index += 1
            if outcome in ("slow", "crash"):
                break
            if index % 1000 == 0:
                print(f"{index}/{self.count}", file=sys.stderr, flush=True)
        return index

    def _reply(self, pipe, child):
        start = _cpu_seconds(child.pid)
        while not pipe.poll(1):
            if _cpu_seconds(child.pid) - start > LIMIT_SECONDS:
                return "slow", "it did not end", float(LIMIT_SECONDS), 0
        return pipe.recv()

    def _keep(self, name: str, content: bytes, why: str) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        (self.keep / name).write_bytes(content)
        print(f"{self.keep / name}: {why}", flush=True)


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its children, or wall time if unavailable."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / 100
    except OSError:
        return time.monotonic()


def serve(pipe) -> None:
    """Read the files named on a pipe; reply with outcome, reason, seconds, and KiB of memory."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    warnings.simplefilter("ignore")
    pipe.send("ready")
    while True:
        path, name = pipe.recv()
        start = time.process_time()
        outcome, why = examine(Path(path), _reader(name))
        seconds = time.process_time() - start
        pipe.send((outcome, why, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def examine(path: Path, read: Callable) -> tuple[str, str]:
    """Return the outcome of a file, ``read``, ``refused`` or ``fault``, and the reason."""
    from simulator.errors import MOST_CHARACTERS, UserError

    try:
        read(path)
    except UserError as refusal:
        if len(str(refusal)) > MOST_CHARACTERS:
            return "fault", f"a message of {len(str(refusal))} characters"
        return "refused", str(refusal)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "fault", f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
    return "read", ""


def _reader(name: str) -> Callable:
    """Return the function with which the commands read a sample of this name."""
    if name.startswith("certificate"):
        from pipeline.migration.verify import verify

        return lambda path: verify(path)
    if name.endswith(".yaml"):
        return _architecture
    if name.startswith("program"):
        return _program
    if name.endswith(".npy"):
        from pipeline.data.array_file import load_array

        return load_array
    return _model


def _model(path: Path) -> None:
    from pipeline.chips.check import check
    from pipeline.cli.parameters import load_any
    from pipeline.graph.graph import Graph

    model = load_any(path)
    if isinstance(model, Graph):
        check(model, "akida_v2")


def _program(path: Path) -> None:
    from simulator import Program

    list(Program.load(path).limits())


def _architecture(path: Path) -> None:
    from pipeline.graph.architecture import build_graph
    from pipeline.graph.architecture_file import read_architecture

    build_graph(read_architecture(str(path)), seed=0)


if __name__ == "__main__":
    sys.exit(main())
