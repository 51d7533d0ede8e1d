"""Summarise the comparison of many networks."""

from __future__ import annotations

from collections import Counter

STATUSES = ("equal", "inexact", "mismatch", "refused", "unusable")


def print_report(results: list[dict], seed: int) -> dict:
    """Print the summary of a run and return it as plain data.

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
    rows = [("layer", "weights", "output", "axis", "tensors"), *summary["covered"]]
    widths = [max(len(str(row[column])) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)))
    print("networks by trait: " + ", ".join(f"{k} {v}" for k, v in summary["traits"].items()))
    for why, count in summary["refusals"].items():
        print(f"refused {count}: {why}")
    return summary


def summarise(results: list[dict], seed: int) -> dict:
    """Return totals, coverage and reasons."""
    compared = [result for result in results if "values" in result]
    covered, traits, refusals = Counter(), Counter(), Counter()
    for result in compared:
        traits.update(result["traits"])
        for *key, count in result["covered"]:
            covered[tuple(key)] += count
    for result in results:
        if result["status"] in ("refused", "unusable"):
            # The same reason in other networks differs by layer names only.
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
        "ulps": max((result["ulps"] for result in compared), default=0),
        "covered": [[*key, count] for key, count in sorted(covered.items())],
        "traits": dict(sorted(traits.items())),
        "refusals": dict(refusals.most_common()),
    }


def _values(results, kind):
    return sum(entry.get("count", 1) for result in results for entry in result[kind])
