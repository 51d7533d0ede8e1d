"""Results of a run: kept in a file from which an interrupted run continues, and as a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from conformance.exports.work import Task

STATUSES = ("equal", "inexact", "mismatch", "refused", "unusable", "fault")
HEAD = ("models", "n", *STATUSES, "rewritten", "compared")


class Results:
    """Results by task, in the order in which they came.

    Parameters
    ----------
    path : Path or None
        A file of one JSON line for each task; its tasks are not run again, except after faults.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self.found: dict[Task, dict] = {}
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # the run was interrupted while it wrote
            path.write_text(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            if entry["result"]["status"] != "fault":
                self.found[Task(**entry["task"])] = entry["result"]

    def add(self, task: Task, result: dict) -> None:
        """Keep one result."""
        self.found[task] = result
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"task": asdict(task), "result": result}) + "\n")

    def of(self, todo: Iterable[Task]) -> list[dict]:
        """Return the results of tasks."""
        return [self.found[task] for task in todo]


def table(results: Iterable[dict]) -> str:
    """Return a Markdown table with a row for each source of models and one for all.

    ``rewritten`` counts the equal ones that the file holds in another form, and ``compared``
    integers and outputs.
    """
    rows: dict[str, Counter] = {}
    for result in results:
        for source in (result["source"], "all"):
            row = rows.setdefault(source, Counter())
            row["n"] += 1
            row[result["status"]] += 1
            row["rewritten"] += result.get("form") == "equivalent"
            row["compared"] += result.get("values", 0) + result.get("outputs", 0)
    total = rows.pop("all", Counter())
    lines = [HEAD, ("---", *("--:" for _ in HEAD[1:]))]
    for source, row in (*rows.items(), ("all", total)):
        lines.append((source, *(f"{row[key]:,}" for key in HEAD[1:])))
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if not number else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
