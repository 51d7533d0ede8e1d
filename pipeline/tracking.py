"""Keep runs in MLflow; the only module that knows it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.record import Record

EXPERIMENT = "crossgrade"
FINGERPRINT, PARENT = "crossgrade.fingerprint", "mlflow.parentRunId"
BATCH = 100
"""MLflow takes at most this many parameters or tags in one call."""


@dataclass(frozen=True)
class Tracked:
    """Where a run is kept: its id, the store, and whether it was there before."""

    run_id: str
    store: str
    repeated: bool

    @property
    def message(self) -> str:
        """One line for the user."""
        if self.repeated:
            return f"an equal run is already in MLflow: {self.run_id}"
        return f"recorded in MLflow as run {self.run_id}"


def local_store(root) -> str:
    """Return the address of the store in `root`, absolute since stages may run elsewhere."""
    return f"sqlite:///{(Path(root).resolve() / 'mlflow.db').as_posix()}"


def track(record: Record, store: str, root, *, parent: str | None = None) -> Tracked:
    """Record one run, unless an equal one exists under the same parent.

    Parameters
    ----------
    record : Record
    store : str
        MLflow's tracking address.
    root : path-like
        Folder for artifacts of a new experiment in a local store.
    parent : str, optional
        Run that this one is a point of.
    """
    client, experiment = _open(store, root)
    condition = f"tags.`{FINGERPRINT}` = '{record.fingerprint}' and attributes.status = 'FINISHED'"
    if parent:
        condition += f" and tags.`{PARENT}` = '{parent}'"
    for run in client.search_runs([experiment], condition):
        if parent or PARENT not in run.data.tags:
            return Tracked(run.info.run_id, store, True)
    tags = {FINGERPRINT: record.fingerprint} | ({PARENT: parent} if parent else {})
    run_id = client.create_run(experiment, tags=tags, run_name=record.name).info.run_id
    status = "FAILED"
    try:
        _log(client, run_id, record)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return Tracked(run_id, store, False)


def start_sweep(store: str, root, name: str, overrides: Mapping[str, str]) -> str:
    """Create the run that a sweep's points belong to, and the store itself if it is new.

    A fresh store must be made before points run side by side: its tables are created once.
    """
    client, experiment = _open(store, root)
    run_id = client.create_run(experiment, run_name=name).info.run_id
    for key, value in overrides.items():
        client.log_param(run_id, key, value)
    return run_id


def end_sweep(store: str, root, run_id: str, *, complete: bool) -> list[tuple[dict, dict]]:
    """Close a sweep and return the parameters and metrics of its points, oldest first."""
    client, experiment = _open(store, root)
    client.set_terminated(run_id, "FINISHED" if complete else "FAILED")
    found = client.search_runs(
        [experiment], f"tags.`{PARENT}` = '{run_id}'", order_by=["attributes.start_time ASC"]
    )
    points = [(run.data.params, run.data.metrics) for run in found]
    client.log_metric(run_id, "points", len(points))
    return points


def _open(store, root):
    """Return a client and the id of our experiment."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow"):  # a new store tells of every table
        logging.getLogger(name).setLevel(logging.WARNING)

    try:
        client = MlflowClient(tracking_uri=store)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return client, experiment.experiment_id
        location = None
        if store.startswith("sqlite:"):
            location = (Path(root).resolve() / "mlruns").as_uri()
        return client, client.create_experiment(EXPERIMENT, artifact_location=location)
    except MlflowException as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"MLflow store {store}: cannot be used ({reason})") from error


def _log(client, run_id, record):
    from mlflow.entities import Metric, Param

    for batch in _batches(record.params.items()):
        client.log_batch(run_id, params=[Param(key, value) for key, value in batch])
    for batch in _batches(record.metrics.items()):
        client.log_batch(run_id, metrics=[Metric(key, value, 0, 0) for key, value in batch])
    for path in record.artifacts:
        folder = path.parent.name if path.parent.name in ("metrics", "plots") else None
        client.log_artifact(run_id, str(path), folder)


def _batches(items) -> Iterator[list]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
