"""Runs whose store was moved, copied, or written by several processes at once."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from pipeline.errors import ConfigError
from pipeline.tracking.address import check_address, chosen_store, database, local_store
from pipeline.tracking.moved import follow_move
from pipeline.tracking.record import Record
from pipeline.tracking.store import EXPERIMENT, track

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RECORD = Record(name="r", params={}, metrics={"accuracy": 0.5}, artifacts=(), fingerprint="f1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a store that holds one run with one file."""
    root = tmp_path_factory.mktemp("before")
    (root / "figures.txt").write_text("1")
    track(replace(RECORD, artifacts=(root / "figures.txt",)), local_store(root))
    return root


def locations(root):
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        experiments = "SELECT artifact_location FROM experiments WHERE name = ?"
        (found,) = connection.execute(experiments, (EXPERIMENT,)).fetchone()
        return [found, *(row[0] for row in connection.execute("SELECT artifact_uri FROM runs"))]


def test_files_of_a_moved_store_are_found_and_new_ones_lie_beside_it(made, tmp_path):
    root = tmp_path / "with späce"
    shutil.copytree(made, tmp_path / "first")
    (tmp_path / "first").rename(root)
    assert follow_move(local_store(root), EXPERIMENT) == (made / "mlruns").as_uri()
    new = track(
        replace(RECORD, fingerprint="f2", artifacts=(made / "figures.txt",)), local_store(root)
    )
    assert all(place.startswith((root / "mlruns").as_uri()) for place in locations(root))
    assert (root / "mlruns" / new.run_id / "artifacts/figures.txt").is_file()
    assert not (made / "mlruns" / new.run_id).exists()
    assert follow_move(local_store(root), EXPERIMENT) is None

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=local_store(root))
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    for run in client.search_runs([experiment]):
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["figures.txt"]


def test_another_folder_that_a_user_chose_is_kept(made, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    for chosen in ("s3://bucket/runs", "file:///data/of/all", (tmp_path / "mlruns").as_uri()):
        (tmp_path / "mlruns" / "other").mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", (chosen,))
        assert follow_move(local_store(root), EXPERIMENT) is None
        assert locations(root)[0] == chosen


def test_what_is_no_store_of_ours_is_left_alone(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database")
    for store in (local_store(tmp_path), local_store(tmp_path / "none"), "http://127.0.0.1:1"):
        assert follow_move(store, EXPERIMENT) is None
    assert (tmp_path / "mlflow.db").read_text() == "no database"


def test_processes_that_create_a_database_at_once(tmp_path):
    code = (
        "import sys; from pipeline.tracking.record import Record;"
        "from pipeline.tracking.store import track;"
        "track(Record(name='r', params={'a': '1'}, metrics={}, artifacts=(),"
        " fingerprint=sys.argv[2]), sys.argv[1])"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, local_store(tmp_path)]
    both = [subprocess.Popen([*command, fingerprint]) for fingerprint in ("f1", "f2", "f1")]
    assert [process.wait() for process in both] == [0, 0, 0]

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=local_store(tmp_path))
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = client.search_runs([experiment])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2


@pytest.mark.parametrize("store", ["./mlruns", "mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_a_folder_is_no_store(store, monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI=sqlite:///.*/mlflow\.db, or unset"):
        check_address(store)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_address(store)


def test_the_chosen_store_does_not_depend_on_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert chosen_store(tmp_path) == local_store(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/all.db")
    assert database(chosen_store(tmp_path)) == tmp_path / "runs/all.db"
    for given in ("sqlite:////data/all.db", "http://127.0.0.1:5000", "postgresql://host/runs"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
        assert chosen_store(tmp_path) == given
    assert database("http://127.0.0.1:5000") is None
