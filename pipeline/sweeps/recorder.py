"""Record a sweep's points in MLflow as they end: one writer for every launcher."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.errors import CrossgradeError
from pipeline.sweeps.outcome import FAILED, FINISHED, REFUSED, Outcome, outcome_record
from pipeline.sweeps.page import page
from pipeline.sweeps.pareto import Comparison, compare, markdown, table_rows
from pipeline.sweeps.picture import draw_fronts
from pipeline.sweeps.sweep import Sweep
from pipeline.tracking.store import StoreUnavailable, begin_sweep, end_sweep, track

TRACKED = "tracked.json"
TABLE, MARKDOWN, PICTURE, PAGE = "pareto.csv", "pareto.md", "pareto.png", "pareto.html"
LOOK_SECONDS = 0.5


class Recorder:
    """Watches a sweep's folder in a thread, and records new outcomes.

    Points run in this or other processes or machines, and only write files.

    Parameters
    ----------
    sweep : Sweep
    """

    def __init__(self, sweep: Sweep):
        self.sweep = sweep
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="recorder")
        self._parent: str | None = None

    def begin(self) -> None:
        """Create the store and the sweep's run before any point needs them.

        Raises
        ------
        ConfigError
            When the store is unusable; a server that does not respond may do so later.
        """
        try:
            self._parent = begin(self.sweep)
        except StoreUnavailable as error:
            logging.warning("%s; results are kept in %s meanwhile", error, self.sweep.folder)

    def __enter__(self):
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        """Stop watching; `record_sweep` records the rest."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            if self._parent is not None:
                try:
                    _record_points(self.sweep, self._parent)
                except CrossgradeError:  # `record_sweep` retries, and reports the error
                    self._parent = None


def record_sweep(sweep: Sweep) -> str:
    """Record all points not recorded yet, and the sweep itself; return its run.

    Raises
    ------
    StoreUnavailable
        When the store does not respond; points recorded so far are not recorded again.
    """
    comparison = write_comparison(sweep)
    parent = begin(sweep)
    _record_points(sweep, parent)
    folder = Path(sweep.folder)
    states = {state: comparison.count(state) for state in (FINISHED, REFUSED, FAILED)}
    status = "FAILED" if states[FAILED] else "FINISHED" if sweep.complete else "KILLED"
    end_sweep(
        sweep.store,
        parent,
        status=status,
        metrics={"points": len(comparison.outcomes), **states},
        note=markdown(comparison),
        artifacts=[
            *(folder / name for name in (TABLE, MARKDOWN, PICTURE, PAGE)),
            *_pages(folder),
        ],
    )
    files.write_json(folder / TRACKED, {"store": sweep.store, "run": parent, "status": status})
    return parent


def _pages(folder: Path) -> list[Path]:
    """Return the pages that belong to a sweep beside its own."""
    return sorted(folder.glob("*.html"))


def is_recorded(sweep: Sweep) -> bool:
    """Return True if the sweep and all of its points are recorded in their current state."""
    path = Path(sweep.folder) / TRACKED
    if not path.is_file():
        return False
    closed = files.read_json(path)["status"] != "KILLED" or not sweep.complete
    return closed and not _unrecorded(sweep)


def write_comparison(sweep: Sweep) -> Comparison:
    """Write table, picture and page to the sweep's folder; return the comparison."""
    comparison = compare([outcome for _, outcome in sweep.outcomes()])
    folder = Path(sweep.folder)
    files.write_csv(folder / TABLE, *table_rows(comparison))
    files.write_text(folder / MARKDOWN, f"# {sweep.name}\n\n{markdown(comparison)}")
    files.write_bytes(folder / PICTURE, draw_fronts(comparison))
    files.write_text(folder / PAGE, page(comparison, sweep.name))
    return comparison


def begin(sweep: Sweep) -> str:
    """Find or create the sweep's run."""
    params = dict(o.lstrip("+").split("=", 1) for o in sweep.overrides if "=" in o)
    return begin_sweep(sweep.store, key=sweep.key, name=sweep.name, params=params, tags=sweep.tags)


def _unrecorded(sweep: Sweep) -> list[tuple[Path, Outcome]]:
    """Return the final outcomes that are not recorded yet."""
    return [
        (folder, outcome)
        for folder, outcome in sweep.outcomes()
        if outcome.state != FAILED and not (folder / TRACKED).is_file()
    ]


def _record_points(sweep: Sweep, parent: str) -> None:
    for folder, outcome in _unrecorded(sweep):
        record = outcome_record(folder, outcome, sweep.run_name(outcome.changed))
        record = replace(record, tags=record.tags | sweep.tags)
        tracked = track(record, sweep.store, parent=parent)
        files.write_json(folder / TRACKED, {"store": sweep.store, "run": tracked.run_id})
