"""Summary of the comparison of many networks."""

from __future__ import annotations

import textwrap
from collections import Counter

from conformance.coverage import REQUIRED, Combination

STATUSES = ("equal", "inexact", "mismatch", "refused", "unusable", "fault")


def print_report(results: list[dict], seed: int) -> dict:
    """Print the summary of a run and return it as built-in types.

    Parameters
    ----------
    results : list of dict
        From `conformance.examine.examine`.
    seed : int
    """
    summary = summarise(results, seed)
    print(
        f"{summary['count']} networks, seed {seed}: "
        + ", ".join(f"{summary[status]} {status}" for status in STATUSES)
    )
    print(
        f"{summary['tensors']} integer tensors, {summary['values']} integers compared;"
        f" {summary['mismatching_values']} differ, {summary['inexact_values']} beyond the"
        f" reference's float32; final floats at most {summary['ulps']} ulp apart"
    )
    print(f"{summary['backend_values']} integers differ between the emulator's backends")
    rows = [("layer", "weights", "output", "axis", "tensors"), *summary["covered"]]
    widths = [max(len(str(row[column])) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)))
    _print_wrapped("networks by trait: ", (f"{k} {v}" for k, v in summary["traits"].items()))
    print(
        f"{summary['combinations']} combinations of layer, register, width and input drawn;"
        f" {len(summary['missing'])} of the {len(REQUIRED)} required are missing"
    )
    for combination in summary["missing"]:
        print(f"  missing: {combination}")
    for why, count in summary["refusals"].items():
        print(f"refused {count}: {why}")
    return summary


def _print_wrapped(title, parts):
    print(textwrap.fill(title + ", ".join(parts), width=98, subsequent_indent="  "))


def summarise(results: list[dict], seed: int) -> dict:
    """Return totals, coverage and reasons."""
    compared = [result for result in results if "values" in result]
    covered, traits, refusals = Counter(), Counter(), Counter()
    drawn = {Combination(*item) for result in compared for item in result["combinations"]}
    for result in compared:
        traits.update(result["traits"])
        for *key, count in result["covered"]:
            covered[tuple(key)] += count
    for result in results:
        if result["status"] in ("refused", "unusable", "fault"):
            # Without layer names, equal reasons in different networks are counted together.
            refusals[result["why"].split(": ", 1)[-1]] += 1
    statuses = Counter(result["status"] for result in results)
    return {
        "seed": seed,
        "count": len(results),
        **{status: statuses[status] for status in STATUSES},
        "tensors": sum(result["tensors"] for result in compared),
        "values": sum(result["values"] for result in compared),
        "mismatching_values": _values(compared, "mismatches"),
        "inexact_values": _values(compared, "inexact"),
        "backend_values": _values(compared, "backends"),
        "combinations": len(drawn),
        "missing": [str(combination) for combination in sorted(REQUIRED - drawn)],
        "ulps": max((result["ulps"] for result in compared), default=0),
        "covered": [[*key, count] for key, count in sorted(covered.items())],
        "traits": dict(sorted(traits.items())),
        "refusals": dict(refusals.most_common()),
    }


def _values(results, kind):
    return sum(entry.get("count", 1) for result in results for entry in result[kind])
