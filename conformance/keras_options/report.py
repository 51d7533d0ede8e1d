"""Summary of the enumeration's results."""

from __future__ import annotations

from collections import Counter

from conformance.keras_options.examine import DIFFERENT, STATUSES, UNBUILDABLE

MOST_SHOWN = 60


def print_table(rows: list[dict]) -> int:
    """Print counts by generation and format, and every difference; return their number.

    Parameters
    ----------
    rows : list of dict
        One for each file: ``keras``, ``file``, ``group``, ``what``, ``status``, ``why``.
    """
    counts = Counter((row["keras"], row["file"], row["status"]) for row in rows)
    kinds = sorted({(row["keras"], row["file"]) for row in rows}, reverse=True)
    print(f"{'written by':24}{'files':>8}" + "".join(f"{name:>17}" for name in STATUSES))
    for keras, suffix in kinds:
        _line(f"{keras} .{suffix}", [counts[keras, suffix, status] for status in STATUSES])
    totals = [sum(counts[(*kind, status)] for kind in kinds) for status in STATUSES]
    _line("all", totals)
    missing = sum(row["status"] == UNBUILDABLE for row in rows)
    print(f"({missing} more that Keras itself does not make or save)")
    wrong = [row for row in rows if row["status"] == DIFFERENT]
    for row in wrong[:MOST_SHOWN]:
        print(f"{row['keras']} .{row['file']} {row['group']} {row['what']}: {row['why']}")
    return len(wrong)


def _line(name, numbers):
    print(f"{name:24}{sum(numbers):8}" + "".join(f"{number:17}" for number in numbers))
