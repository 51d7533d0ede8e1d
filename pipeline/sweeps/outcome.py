"""What became of one point of a sweep, kept in its folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pipeline import files
from pipeline.tracking.record import Record, gather

FINISHED, REFUSED, FAILED = "finished", "refused", "failed"
NAME = "outcome.json"
QUALITIES = {"accuracy": 1, "mean_absolute_error": -1}
"""Measure of classes or of numbers, and whether more of it is better."""
MORE_IS_BETTER = ("accuracy", "agreement", "sparsity")
WORSE_THAN_ANY = {True: 0.0, False: 1e18}
"""Objective of a point without figures, where more is better and where it is not."""


@dataclass(frozen=True)
class Quality:
    """One measure of the answers, and a number that is greater for better ones."""

    name: str
    value: float
    merit: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One point.

    Attributes
    ----------
    number : int
        Position in the sweep.
    state : {"finished", "refused", "failed"}
        Refused points are impossible by their configuration; failed ones may work another time.
    changed : dict of str to str
        Overrides of the point by their names.
    params : dict of str to str
        Every value of the configuration by its dotted name.
    metrics : dict of str to float
        Every figure as ``stage.metric``; empty without a result.
    reason : str
        Why it was refused or failed.
    seconds : float
        Time from taking up the point to its end.
    """

    number: int
    state: str
    changed: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0

    def objective(self, name: str) -> float:
        """Return the figure called ``evaluate.name``, or a worse one than any when there is none.

        An optimizer then turns away from configurations that are refused.
        """
        return self.metrics.get(f"evaluate.{name}", WORSE_THAN_ANY[name in MORE_IS_BETTER])

    @property
    def quality(self) -> Quality | None:
        """How good the answers are, by the first known measure; None without a result."""
        for name, sign in QUALITIES.items():
            value = self.metrics.get(f"evaluate.{name}")
            if value is not None:
                return Quality(name, value, sign * value)
        return None

    @property
    def first_reason(self) -> str:
        """The reason, or the first of several."""
        return " ".join(line.strip() for line in self.reason.splitlines()[:2])

    def save(self, folder) -> None:
        """Write the outcome into a point's folder, whole or not at all."""
        files.write_json(Path(folder) / NAME, asdict(self))


def load_outcome(folder) -> Outcome | None:
    """Return the outcome in a point's folder, None when it has none yet."""
    path = Path(folder) / NAME
    return Outcome(**files.read_json(path)) if path.is_file() else None


def outcome_record(folder, outcome: Outcome, name: str) -> Record:
    """Return what the point in `folder` leaves for the records, a refused one included."""
    workspace = Path(folder) / "workspace"
    if outcome.state == FINISHED:
        return replace(gather(workspace), name=name)
    digest = hashlib.sha256(json.dumps([outcome.params, outcome.reason]).encode())
    params = workspace / files.PARAMS
    return Record(
        name=f"{name} ({outcome.state})",
        params=outcome.params,
        metrics={},
        artifacts=(params,) if params.is_file() else (),
        fingerprint=digest.hexdigest(),
        refusal=outcome.reason,
    )
