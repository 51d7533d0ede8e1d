"""Show a sweep while it runs: a moving picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence

from pipeline.messages.lines import wrapped
from pipeline.sweeps.outcome import FAILED, FINISHED, REFUSED, Outcome
from pipeline.sweeps.running import RunningPoint, running_points
from pipeline.sweeps.sweep import Sweep

LOOK_SECONDS = 0.5
LINE_SECONDS = 10
"""Pause between two plain lines about the same point."""
RECENT = 8
"""Points from whose pace the time left follows: the first ones train what the others share."""
WIDTH = 100
SHOWN = 8
"""Running points on a terminal."""


class Display:
    """Prints each point that ends, and where the running ones are, from a thread.

    Points run in this or other processes or machines, and only write files.

    Parameters
    ----------
    sweep : Sweep
    total : int or None
        Number of its points, where it is known.
    """

    def __init__(self, sweep: Sweep, total: int | None):
        self.sweep, self.total = sweep, total
        self._told = dict(sweep.outcomes())
        self._ends = [time.monotonic()]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="display")
        self._view = LiveView() if sys.stdout.isatty() else PlainView()

    def __enter__(self):
        """Start watching."""
        self._view.start()
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        """Print what is left, and stop."""
        self._stop.set()
        self._thread.join()
        self._look()
        self._view.stop()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        outcomes = self.sweep.outcomes()
        for folder, outcome in outcomes:
            if self._told.get(folder) != outcome:
                self._told[folder] = outcome
                self._ends.append(time.monotonic())
                about = ", ".join(filter(None, (self._count(), self._left())))
                name = self.sweep.point_name(outcome.changed)
                self._view.say(wrapped(f"[{about}] {name}: {result(outcome)}"))
        running = running_points(self.sweep.points)
        rows = {self.sweep.point_name(point.changed): point for point in running}
        self._view.show(rows, len(self._told), self.total, self._left())

    def _count(self) -> str:
        return f"{len(self._told)} of {self.total}" if self.total else f"{len(self._told)} done"

    def _left(self) -> str:
        seconds = time_left(self._ends, len(self._told), self.total)
        return "" if seconds is None else f"about {duration(seconds)} left"


def time_left(ends: Sequence[float], done: int, total: int | None) -> float | None:
    """Return the seconds that the remaining points take at the pace of the last ones.

    Parameters
    ----------
    ends : sequence of float
        When the sweep began, and when each of its points ended, in seconds.
    done, total : int
        Points that have ended, in earlier runs too; None where the total is not known.
    """
    if total is None or len(ends) < 2 or done >= total:
        return None
    recent = ends[-RECENT - 1 :]
    return (recent[-1] - recent[0]) / (len(recent) - 1) * (total - done)


def duration(seconds: float) -> str:
    """Return a duration in the units of its size: ``45 s``, ``3 min``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def result(outcome: Outcome) -> str:
    """Return what became of a point, in one line."""
    quality = outcome.quality
    return {
        FINISHED: f"{quality.name.replace('_', ' ')} {quality.value:.4f}" if quality else "done",
        REFUSED: f"refused ({outcome.first_reason})",
        FAILED: f"failed ({outcome.first_reason})",
    }[outcome.state]


class PlainView:
    """Lines: one when a point ends, and now and then one about each that runs."""

    FIRST_SECONDS = 2
    """A point that ends sooner gets no line before."""

    def __init__(self):
        self._next: dict[str, float] = {}
        self._last: dict[str, str] = {}

    def start(self) -> None:
        """Print nothing yet."""

    def stop(self) -> None:
        """Print nothing more."""

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def show(self, rows: Mapping[str, RunningPoint], done: int, total, left: str) -> None:
        """Print where points are whose step changed, each at most every `LINE_SECONDS`."""
        now = time.monotonic()
        for name, point in rows.items():
            due = self._next.setdefault(name, now + self.FIRST_SECONDS)
            text = str(point.step)
            if now >= due and text != self._last.get(name):
                self._next[name], self._last[name] = now + LINE_SECONDS, text
                self.say(_cut(f"{name}: {_where(point)}"))


class LiveView:
    """A bar of all points, and a line for each that runs; other output scrolls above."""

    def __init__(self, console=None):
        from rich.console import Console
        from rich.live import Live

        self.console = console or Console(highlight=False, markup=False)
        self._live = Live(console=self.console, auto_refresh=False, transient=True)

    def start(self) -> None:
        """Take over the lowest lines of the terminal."""
        self._live.start()

    def stop(self) -> None:
        """Give them back."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above."""
        self.console.print(text, soft_wrap=True)

    def show(self, rows: Mapping[str, RunningPoint], done: int, total, left: str) -> None:
        """Draw the bar and the lines."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head, table = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
        count = f"{done} of {total} points" if total else f"{done} points"
        head.add_row(count, ProgressBar(total or 1, done if total else 0, width=30), left)
        for name, point in list(rows.items())[:SHOWN]:
            where = Text(_where(point), no_wrap=True, overflow="ellipsis")
            table.add_row(Text(f"  {name}", style="bold", no_wrap=True), where)
        more = len(rows) - SHOWN
        rest = [Text(f"  and {more} more")] if more > 0 else []
        self._live.update(Group(head, table, *rest), refresh=True)


def _where(point: RunningPoint) -> str:
    """Return the step, the time since the point began, and what was measured last."""
    age = duration(max(time.time() - point.begun, 0))
    return f"{point.step} ({age}) {point.step.figures}".rstrip()


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
