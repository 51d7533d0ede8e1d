"""Compare many random networks: ``python -m conformance --count 300 --report report.json``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from conformance.report import print_report

NETWORKS_PER_PROCESS = 25


def main(arguments=None) -> int:
    """Run the comparison and return the exit status: 1 when anything differs."""
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
    # TensorFlow keeps memory of every model it built; fresh processes give it back.
    with ProcessPoolExecutor(
        options.jobs, get_context("spawn"), max_tasks_per_child=NETWORKS_PER_PROCESS
    ) as pool:
        for result in pool.map(examine, [options.seed] * len(indices), indices):
            results.append(result)
            if result["status"] != "equal":
                print(f"{result['index']}: {result['status']}: {result['why']}", flush=True)
            elif sys.stderr.isatty():
                print(f"\r{len(results)}/{options.count}", end="", file=sys.stderr, flush=True)
    summary = print_report(results, options.seed)
    if options.report:
        options.report.write_text(json.dumps({**summary, "networks": results}, indent=1) + "\n")
    return 1 if summary["mismatch"] else 0


def examine(seed: int, index: int) -> dict:
    """Make, quantize, import, run and compare one network.

    Returns
    -------
    dict
        ``status`` is "equal", "inexact" (differs only where the reference's float32 is not
        exact), "mismatch", "refused" (no Akida 2.0 program; ``why``) or "unusable" (the
        reference itself fails).
    """
    from conformance import oracle

    oracle.prepare()
    from conformance.compare import compare
    from conformance.networks import random_network
    from pipeline.errors import ModelError
    from pipeline.importers import load_model

    network = random_network(seed, index)
    result = {
        "seed": seed,
        "index": index,
        "traits": sorted(network.traits),
        "settings": network.settings,
        "why": "",
    }
    try:
        model = oracle.quantize(network)
        trace = oracle.trace(model, network.images, temporal=network.temporal)
    except oracle.failures() as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return {**result, "status": "unusable", "why": first}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.h5"
            oracle.save(model, path)
            calibrated = load_model(path)
        found = compare(calibrated, trace, network.images)
    except ModelError as error:
        reasons = getattr(error, "reasons", [str(error)])
        return {**result, "status": "refused", "why": "; ".join(reasons)}
    status = "equal" if found.passed else "mismatch"
    if found.passed and found.inexact:
        status = "inexact"
    why = [*found.mismatches, *found.inexact, *(f"format of {name}" for name in found.formats)]
    if found.ulps:
        why.append(f"final floats {found.ulps} ulp apart")
    return {
        **result,
        "status": status,
        "why": "; ".join(map(str, why)),
        "tensors": found.tensors,
        "values": found.values,
        "mismatches": found.mismatches,
        "inexact": found.inexact,
        "formats": found.formats,
        "ulps": found.ulps,
        "covered": [[*key, count] for key, count in sorted(Counter(found.covered).items())],
    }


if __name__ == "__main__":
    sys.exit(main())
