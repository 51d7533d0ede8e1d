"""MLflow stores: refusals, and reading a local store without MLflow."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.errors import ConfigError
from pipeline.tracking.address import local_store
from pipeline.tracking.record import Record
from pipeline.tracking.recorded import find_recorded
from pipeline.tracking.store import begin_sweep, track

# MLflow's database layer uses what the next version deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RECORD = Record(
    name="run", params={"seed": "1"}, metrics={"accuracy": 0.5}, artifacts=(), fingerprint="f1"
)


def test_it_needs_no_mlflow(tmp_path):
    code = (
        "import sys; from pipeline.tracking.recorded import find_recorded; import stages.track; "
        "assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert find_recorded(RECORD, local_store(tmp_path)) is None
    assert find_recorded(RECORD, "http://127.0.0.1:1") is None
    (tmp_path / "mlflow.db").write_text("no database")
    assert find_recorded(RECORD, local_store(tmp_path)) is None


def test_it_finds_complete_runs_of_their_own_only(tmp_path):
    root = tmp_path / "with space"
    root.mkdir()
    store = local_store(root)
    sweep = begin_sweep(store, key="k", name="sweep", params={}, tags={})
    track(RECORD, store, parent=sweep)
    track(replace(RECORD, fingerprint="f2", refusal="no"), store)
    assert find_recorded(RECORD, store) is None
    assert find_recorded(replace(RECORD, fingerprint="f2"), store) is None

    first = track(RECORD, store)
    again = find_recorded(RECORD, store)
    assert again == track(RECORD, store) == replace(first, repeated=True)

    from mlflow import MlflowClient

    MlflowClient(tracking_uri=store).delete_run(first.run_id)
    assert find_recorded(RECORD, store) is None
    assert track(RECORD, store).run_id != first.run_id


def test_a_store_that_can_never_be_used_is_refused_at_once(tmp_path):
    for store in (f"sqlite:///{tmp_path}/none/mlflow.db", "htp://x"):
        with pytest.raises(ConfigError, match=f"MLflow store {re.escape(store)}: "):
            begin_sweep(store, key="k", name="sweep", params={}, tags={})
