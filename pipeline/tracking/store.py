"""Record each run in MLflow completely and exactly once, even after an interruption."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from filelock import FileLock

from pipeline.errors import ConfigError, CrossgradeError
from pipeline.tracking.address import check_address, database, is_remote
from pipeline.tracking.curves import read_table
from pipeline.tracking.data_set import DataSet
from pipeline.tracking.figures import figures
from pipeline.tracking.moved import artifact_folder, follow_move
from pipeline.tracking.names import parameter_name
from pipeline.tracking.record import Record
from pipeline.tracking.view import TAG, view_state
from simulator.malformed import brief

EXPERIMENT = "crossgrade"
FOLDERS = ("exports", "inputs", "metrics", "plots")
"""Artifact folders that keep their name in MLflow."""
FINGERPRINT, PARENT = "crossgrade.fingerprint", "mlflow.parentRunId"
SWEEP, OUTCOME, NOTE = "crossgrade.sweep", "crossgrade.outcome", "mlflow.note.content"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's user interface open on runs instead of its page for language models."""
BATCH = 100
"""MLflow takes at most this many parameters or tags in one call."""
ANSWER_SECONDS = 5
NOTE_LENGTH = 5000
"""MLflow refuses longer tags in some stores."""


class StoreUnavailable(CrossgradeError):
    """A tracking server does not respond; the run can be recorded later."""


@dataclass(frozen=True)
class Tracked:
    """Where a run is recorded: its id, the store, and whether it existed already."""

    run_id: str
    store: str
    repeated: bool

    @property
    def message(self) -> str:
        """One line for the user."""
        if self.repeated:
            return f"an equal run is already in MLflow: {self.run_id}"
        return f"recorded in MLflow as run {self.run_id}"


def track(record: Record, store: str, *, parent: str | None = None) -> Tracked:
    """Record one run, unless an equal one exists under the same parent.

    A run left unfinished by a killed process is completed.

    Parameters
    ----------
    record : Record
    store : str
        MLflow's tracking address.
    parent : str, optional
        Sweep run that this run is a point of.

    Raises
    ------
    StoreUnavailable
        When the store does not respond, or stops responding.
    """
    final = "FAILED" if record.refusal else "FINISHED"
    with _open(store) as (client, experiment):
        condition = f"tags.`{FINGERPRINT}` = '{record.fingerprint}'"
        if parent:
            condition += f" and tags.`{PARENT}` = '{parent}'"
        run_id = None
        for run in client.search_runs([experiment], condition):
            if parent or PARENT not in run.data.tags:
                if run.info.status == final:
                    return Tracked(run.info.run_id, store, True)
                run_id = run.info.run_id
        if run_id is None:
            tags = record.tags | {FINGERPRINT: record.fingerprint}
            tags |= {PARENT: parent} if parent else {}
            run = client.create_run(experiment, tags=tags, run_name=record.name)
            run_id = run.info.run_id
        _log(client, run_id, record)
        client.set_terminated(run_id, final)
    return Tracked(run_id, store, False)


def experiment_id(store: str) -> str:
    """Return the id of the experiment that holds all runs; it is created in a new store."""
    with _open(store) as (_, experiment):
        return experiment


def begin_sweep(
    store: str,
    *,
    key: str,
    name: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> str:
    """Find or create the run of the sweep `key`, set it to running, and return its id."""
    with _open(store) as (client, experiment):
        found = client.search_runs([experiment], f"tags.`{SWEEP}` = '{key}'")
        if found:
            run_id = found[0].info.run_id
        else:
            run = client.create_run(experiment, tags={**tags, SWEEP: key}, run_name=name)
            run_id = run.info.run_id
        client.update_run(run_id, status="RUNNING")
        for name, value in params.items():
            client.log_param(run_id, parameter_name(name), value)
        return run_id


def end_sweep(
    store: str,
    run_id: str,
    *,
    status: str,
    metrics: Mapping[str, float],
    note: str,
    artifacts: Sequence[Path],
) -> None:
    """Record the results of a whole sweep in its run, and close it with `status`."""
    with _open(store) as (client, _):
        for name, value in metrics.items():
            client.log_metric(run_id, name, value, timestamp=0, step=0)
        client.set_tag(run_id, NOTE, note[:NOTE_LENGTH])
        for path in artifacts:
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, status)


@contextmanager
def _open(store: str) -> Iterator[tuple]:
    """Yield a client and the experiment id; distinguish an offline server from a bad address.

    One process at a time uses a local database: MLflow fails where two create its tables, and where
    one waits too long for the other.
    """
    check_address(store)
    file, remote = database(store), is_remote(store)
    if remote:
        # Its own retries would keep a stage waiting for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        _answers(store)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("alembic", "mlflow"):  # a new store logs every table
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with FileLock(f"{file}.lock") if file else nullcontext():
            if old := follow_move(store, EXPERIMENT):
                logging.info("the files of recorded runs are now beside %s, not in %s", file, old)
            client = MlflowClient(tracking_uri=store)
            yield client, _experiment(client, artifact_folder(file) if file else None)
    except MlflowException as error:
        reason = brief(error)
        kind = StoreUnavailable if remote else ConfigError
        raise kind(f"MLflow store {store}: cannot be used ({reason})") from error
    except SQLAlchemyError as error:  # a new database on a full disk, which MLflow lets through
        reason = brief(getattr(error, "orig", None) or error)
        raise ConfigError(f"MLflow store {store}: cannot be used ({reason})") from error
    except ImportError as error:
        raise ConfigError(f"MLflow store {store}: needs a package ({error})") from error
    except OSError as error:  # those of the HTTP client among them
        if not remote:
            raise
        raise StoreUnavailable(f"MLflow store {store}: stopped answering ({error})") from error


def _answers(store: str) -> None:
    try:
        urllib.request.urlopen(f"{store.rstrip('/')}/health", timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # it responds, if not to this path
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise StoreUnavailable(f"MLflow store {store}: does not answer ({reason})") from error


def _experiment(client, location: str | None) -> str:
    """Return the id of our experiment; a new one keeps artifacts at `location`."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        tags = KIND | {TAG: view_state()}
        return client.create_experiment(EXPERIMENT, artifact_location=location, tags=tags)
    if TAG not in found.tags:  # made by an earlier version
        client.set_experiment_tag(found.experiment_id, TAG, view_state())
    return found.experiment_id


def _log(client, run_id: str, record: Record) -> None:
    """Log everything; repeating it after a partial attempt is harmless."""
    from mlflow.entities import Metric, Param

    for batch in _batches(record.params.items()):
        params = [Param(parameter_name(key), value) for key, value in batch]
        client.log_batch(run_id, params=params)
    metrics = [Metric(key, value, 0, 0) for key, value in figures(record.metrics).items()]
    for name, curve in record.curves.items():
        metrics += [Metric(name, value, 0, step) for step, value in curve]
    for batch in _batches(metrics):
        client.log_batch(run_id, metrics=batch)
    if record.data is not None:
        client.log_inputs(run_id, datasets=[_data_input(record.data)])
    for path in record.tables:
        client.log_table(run_id, read_table(path), f"{path.stem}.json")
    for path in record.artifacts:
        folder = path.parent.name if path.parent.name in FOLDERS else None
        client.log_artifact(run_id, str(path), folder)
    client.set_tag(run_id, NOTE, record.description[:NOTE_LENGTH])
    if record.refusal:
        client.set_tag(run_id, OUTCOME, "refused")
    if record.program is not None:
        from pipeline.serving.served_model import save_served_model

        with tempfile.TemporaryDirectory() as folder:
            save_served_model(record.program, Path(folder) / "model")
            client.log_artifacts(run_id, str(Path(folder) / "model"), "model")


def _data_input(data: DataSet):
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(
        Dataset(
            name=data.name,
            digest=data.digest,
            source_type="crossgrade",
            source=json.dumps(data.source),
            profile=json.dumps(data.profile),
        ),
        tags=[InputTag("mlflow.data.context", "training and test")],
    )


def _batches(items) -> Iterator[list]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
