"""Time of whole processes: ``python -m benchmarks.processes`` (part of `make bench`).

Compares quantization with QuantizeML's, one worker with two, runs with and without statistics, and
the start of commands. Alternatives are interleaved in one run; figures are medians, and ratios are
medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import machine, same
from benchmarks.nets import prepare

OUTPUT = Path("docs/speed_processes.json")
PARTS = ("quantize", "workers", "statistics", "start")
QUANTIZEML = """\
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np, tf_keras
from quantizeml.models import QuantizationParams, quantize
model = tf_keras.models.load_model(sys.argv[1], compile=False)
samples = np.load(sys.argv[2])
quantized = quantize(model, qparams=QuantizationParams(), samples=samples, batch_size=100)
quantized.save(sys.argv[3], include_optimizer=False)
"""
STARTS = {
    "crossgrade --help": ["--help"],
    "crossgrade check": ["check", "{folder}/float.h5", "--target", "akida_v2"],
    "crossgrade summary": ["summary", "{folder}/program.npz"],
    "crossgrade simulate, 1 image": ["simulate", "{folder}/program.npz", "{folder}/one.npy"],
    "crossgrade simulate --backend fast, 1 image": [
        *("simulate", "{folder}/program.npz", "{folder}/one.npy", "--backend", "fast"),
    ],
}


def run(command) -> dict[str, float]:
    """Run a command and return its CPU and wall seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, check=True, env=_environment(), **silent)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": wall}


def _environment() -> dict[str, str]:
    """Return a user's environment, in which Python caches compiled modules."""
    return {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def in_turn(cases: dict, rounds: int) -> dict:
    """Run all cases in each round; return the figures of every case, one list entry per round."""
    figures = {name: {"cpu": [], "wall": []} for name in cases}
    for number in range(rounds):
        for name, measure in cases.items():
            print(f"  {name}, round {number + 1} of {rounds}", flush=True)
            for key, value in measure().items():
                figures[name].setdefault(key, []).append(value)
    return figures


def quantizing(folder: Path, scratch: Path, rounds: int) -> dict:
    """Measure quantization with 256 calibration images, from process start to written file."""
    images = np.load(folder / "images.npy")
    np.save(scratch / "samples.npy", np.concatenate([images, images[::-1]])[:256])
    script = scratch / "quantizeml_job.py"
    script.write_text(QUANTIZEML, encoding="utf-8")
    model, samples = str(folder / "float.h5"), str(scratch / "samples.npy")
    ours = [*CROSSGRADE, "quantize", model, "--samples", samples, "--num-samples", "256"]
    # QuantizeML does not refine either.
    ours += ["--refine", "none"]
    theirs = [sys.executable, str(script), model, samples, str(scratch / "theirs.h5")]
    cases = {
        "crossgrade quantize": lambda: run([*ours, "-o", str(scratch / "ours.npz")]),
        "QuantizeML quantize": lambda: run(theirs),
    }
    return in_turn(cases, rounds)


def workers(folder: Path, rounds: int, images: int) -> dict:
    """Measure the emulator and the float model on many images, with one worker and with two.

    Two independent runs of half of the images at the same time show the largest speed-up that two
    processes can reach on this machine.
    """
    cases = {}
    for backend in ("numpy", "fast"):
        kinds = {"1 worker": [1], "2 workers": [2], "2 runs of half of them": [1, 1]}
        for name, runs in kinds.items():
            command = [sys.executable, "-m", "benchmarks.shards", str(folder), backend]
            commands = [[*command, str(count), str(images // len(runs))] for count in runs]
            cases[f"{backend}, {name}"] = lambda commands=commands: _together(commands)
    return in_turn(cases, rounds)


def _together(commands) -> dict[str, float]:
    """Return the printed CPU seconds of all commands and the wall seconds of the slowest."""
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=_environment())
        for command in commands
    ]
    figures = [json.loads(process.communicate()[0]) for process in started]
    return {
        "cpu": sum(figure["cpu"] for figure in figures),
        "wall": max(figure["wall"] for figure in figures),
    }


def collecting(folder: Path, rounds: int) -> dict:
    """Measure the emulator with and without statistics, in this process, on one thread."""
    from threadpoolctl import threadpool_limits

    from simulator import Program, simulate
    from simulator.plan import compile_program
    from simulator.statistics import Statistics

    program, images = Program.load(folder / "program.npz"), np.load(folder / "images.npy")[:32]
    cases = {}
    for backend in ("numpy", "fast"):
        plan = compile_program(program, backend)

        def plain(plan=plan):
            return simulate(program, images, backend=plan)

        def counted(plan=plan):
            return simulate(program, images, backend=plan, statistics=Statistics(program))

        counted()
        for name, call in (("plain", plain), ("with statistics", counted)):
            cases[f"{backend}, {name}"] = lambda call=call: _timed(call)
    with threadpool_limits(1):
        return in_turn(cases, rounds)


def starting(folder: Path, rounds: int) -> dict:
    """Measure commands of which most is their start."""
    np.save(folder / "one.npy", np.load(folder / "images.npy")[:1])
    cases = {
        name: lambda arguments=arguments: run(
            [*CROSSGRADE, *(part.format(folder=folder) for part in arguments)]
        )
        for name, arguments in STARTS.items()
    }
    return in_turn(cases, rounds)


def _timed(call, seconds: float = 0.2) -> dict[str, float]:
    """Return the CPU and wall seconds of one call, averaged over enough calls."""
    cpu, wall, calls = time.process_time(), time.perf_counter(), 0
    while time.process_time() - cpu < seconds:
        call()
        calls += 1
    return {
        "cpu": (time.process_time() - cpu) / calls,
        "wall": (time.perf_counter() - wall) / calls,
    }


CROSSGRADE = [sys.executable, "-c", "from pipeline.cli import main; main()"]


def main() -> None:
    """Measure the selected parts, or all, and update their figures in the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="for the workers")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    few, rounds = min(options.rounds, 3), options.rounds
    here = machine()
    results = json.loads(OUTPUT.read_text(encoding="utf-8")) if OUTPUT.exists() else {}
    if not same(results.get("machine", ""), here):
        results = {}
    small = prepare("ds_cnn", oracle=True)
    if "quantize" in options.parts:
        print("quantizing akidanet 0.5 at 160, 256 images", flush=True)
        folder = prepare("akidanet05_160", oracle=True)
        with tempfile.TemporaryDirectory() as scratch:
            results["quantize"] = quantizing(folder, Path(scratch), few)
    if "workers" in options.parts:
        print(f"{options.images} images of ds_cnn", flush=True)
        results["workers"] = workers(small, rounds, options.images)
    if "statistics" in options.parts:
        for net in ("ds_cnn", "akidanet05_160", "mobilenet05_224"):
            print(f"statistics of {net}", flush=True)
            folder = prepare(net, oracle=True)
            results[f"statistics {net}"] = collecting(folder, 3 * rounds)
    if "start" in options.parts:
        print("starting", flush=True)
        results["start"] = starting(small, rounds)
    results["machine"] = here
    OUTPUT.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
