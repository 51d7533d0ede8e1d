"""Speed of the emulator and other tools: ``python -m benchmarks.speed`` (part of `make bench`).

Tools are interleaved in one run, each in its own process; figures are CPU milliseconds per image on
one thread, medians over rounds with their spread. Weights are the seeded initial values and images
are random, since speed is compared, not accuracy. Writes ``docs/speed_KIND.json`` for this kind of
processor, from which `benchmarks.speed_page` generates the page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import kind, machine, same
from benchmarks.nets import NETS, prepare
from benchmarks.speed_page import BASE, ratios, table
from benchmarks.worker import TOOLS


def measure(folder: Path, tools, batch: int, rounds: int, seconds: float) -> dict:
    """Return CPU and wall milliseconds per image of every tool, one list entry per round."""
    command = [sys.executable, "-m", "benchmarks.worker"]
    workers = {}
    for tool in tools:
        worker = subprocess.Popen(
            [*command, tool, str(folder), str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if worker.stdout.readline().strip() == "ready":
            workers[tool] = worker
        else:
            print(f"  {tool}: did not start; left out", flush=True)
    repeats = {}
    for tool, worker in workers.items():
        cpu, _ = _run_batches(worker, 1)
        repeats[tool] = max(1, round(seconds / max(cpu, 1e-6)))
    figures = {tool: {"cpu": [], "wall": []} for tool in workers}
    for _ in range(rounds):
        for tool, worker in workers.items():
            cpu, wall = _run_batches(worker, repeats[tool])
            images = repeats[tool] * batch
            figures[tool]["cpu"].append(1e3 * cpu / images)
            figures[tool]["wall"].append(1e3 * wall / images)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return figures


def _run_batches(worker, repeats: int) -> tuple[float, float]:
    print(repeats, file=worker.stdin, flush=True)
    cpu, wall = worker.stdout.readline().split()
    return float(cpu), float(wall)


def measured_before(output: Path, machine: str, rounds: int) -> dict:
    """Return the results of a file that this processor has written; none of another's."""
    if not output.exists():
        return {}
    report = json.loads(output.read_text(encoding="utf-8"))
    kept = same(report["machine"], machine) and report["rounds"] == rounds
    return report["results"] if kept else {}


def save(output: Path, machine: str, rounds: int, results: dict) -> None:
    """Write the results, in the order of `NETS`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    nets = list(NETS)
    found = dict(sorted(results.items(), key=lambda case: nets.index(case[0].partition(",")[0])))
    report = {"machine": machine, "rounds": rounds, "results": found}
    output.write_text(json.dumps(report, indent=1), encoding="utf-8")


def main() -> None:
    """Measure the selected networks and update their figures in the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32, 128])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU time of a turn")
    parser.add_argument("--output", type=Path, help="default: docs/speed_KIND.json")
    options = parser.parse_args()
    output = options.output or Path(f"docs/speed_{kind()}.json")
    start = machine()
    results = measured_before(output, start, options.rounds)
    print(f"{kind()}: {start}", flush=True)
    for net in options.nets:
        print(f"{net}: preparing", flush=True)
        folder = prepare(net, oracle=BASE in options.tools)
        for batch in options.batches:
            print(f"{net}, batch {batch}", flush=True)
            case = f"{net}, {batch}"
            results[case] = measure(folder, options.tools, batch, options.rounds, options.seconds)
            save(output, start, options.rounds, results)
    print(table(results))
    print(ratios(results))


if __name__ == "__main__":
    main()
