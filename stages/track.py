"""Stage ``track``: everything that this run made, also what came from the cache, to MLflow."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.config import load
from pipeline.data import check_unchanged
from pipeline.files import TABLE, metrics_path, read_json, write_text
from pipeline.record import gather
from pipeline.results import results_table
from pipeline.stage import run
from pipeline.tracking import local_store, track


def main() -> None:
    """Record parameters, metrics and files, unless an equal run is recorded already."""
    check_unchanged(load().data, read_json(metrics_path("build")))
    root = Path.cwd()
    store = os.environ.get("MLFLOW_TRACKING_URI") or local_store(root)
    record = gather(root)
    tracked = track(record, store, root)
    write_text(TABLE, results_table(record, f"{tracked.run_id} in {store}"))
    print(f"track: {tracked.message}")


if __name__ == "__main__":
    run("track", main)
