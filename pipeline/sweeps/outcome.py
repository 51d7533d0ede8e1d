"""The outcome of one sweep point, stored in its folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pipeline import files
from pipeline.errors import ENTRY
from pipeline.tracking.record import Record, gather

FINISHED, REFUSED, FAILED = "finished", "refused", "failed"
NAME = "outcome.json"
OVER_LIMITS = "convert.exceeded_limits"
QUALITIES = {"accuracy": 1, "mean_absolute_error": -1}
"""Quality metrics, and True where a higher value is better."""
MORE_IS_BETTER = ("accuracy", "agreement", "sparsity")
WORSE_THAN_ANY = {True: 0.0, False: 1e18}
"""Objective of a point without metrics, by whether higher is better."""


@dataclass(frozen=True)
class Quality:
    """A quality metric, and a score that is higher for better outputs."""

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
        Refused points have an impossible configuration; failed ones may succeed when retried.
    changed : dict of str to str
        Overrides of the point by their names.
    params : dict of str to str
        Every value of the configuration by its dotted name.
    metrics : dict of str to float
        Every figure as ``stage.metric``; empty without a result.
    reason : str
        Why it was refused or failed.
    seconds : float
        Duration of the point.
    """

    number: int
    state: str
    changed: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0

    def objective(self, name: str) -> float:
        """Return the metric ``evaluate.<name>``, or the worst possible value without one.

        An optimizer then avoids configurations that are refused.
        """
        return self.metrics.get(f"evaluate.{name}", WORSE_THAN_ANY[name in MORE_IS_BETTER])

    @property
    def quality(self) -> Quality | None:
        """The first available quality metric; None without a result."""
        for name, sign in QUALITIES.items():
            value = self.metrics.get(f"evaluate.{name}")
            if value is not None:
                return Quality(name, value, sign * value)
        return None

    @property
    def over_limits(self) -> int:
        """Number of the chip's published limits that the program exceeds."""
        return int(self.metrics.get(OVER_LIMITS, 0))

    @property
    def first_reason(self) -> str:
        """The reason, or the first of several."""
        sentence, mark, entries = self.reason.partition(f"\n{ENTRY}")
        return " ".join((sentence + mark + entries.partition(f"\n{ENTRY}")[0]).split())

    def save(self, folder) -> None:
        """Write the outcome to a point's folder, atomically."""
        files.write_json(Path(folder) / NAME, asdict(self))


def load_outcome(folder) -> Outcome | None:
    """Return the outcome in a point's folder, None when it has none yet."""
    path = Path(folder) / NAME
    return Outcome(**files.read_json(path)) if path.is_file() else None


def outcome_record(folder, outcome: Outcome, name: str) -> Record:
    """Return the record of the point in `folder`, also of a refused one."""
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
