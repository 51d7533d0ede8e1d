"""Stage ``track``: record a run in MLflow, including results from DVC's run cache."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pipeline.files import TABLE, write_text
from pipeline.stage import run
from pipeline.tracking.outbox import keep
from pipeline.tracking.record import gather
from pipeline.tracking.recorded import find_recorded
from pipeline.tracking.results import results_table
from pipeline.tracking.store import StoreUnavailable, local_store, track


def main() -> None:
    """Record parameters, metrics and files, unless an equal run is already recorded."""
    root = Path.cwd()
    store = os.environ.get("MLFLOW_TRACKING_URI") or local_store(root)
    record = gather(root)
    try:
        tracked = find_recorded(record, store) or track(record, store, root)
        where, message = f"{tracked.run_id} in {store}", tracked.message
    except StoreUnavailable as error:
        logging.warning("%s", error)
        folder = keep(record, root, store)
        where = f"not yet; kept in {folder}"
        message = f"results are kept in {folder}; 'crossgrade track --resume' records them"
    write_text(TABLE, results_table(record, where))
    print(f"track: {message}")


if __name__ == "__main__":
    run("track", main)
