"""Stage ``track``: everything that this run made, also what came from the cache, to MLflow."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pipeline.files import TABLE, write_text
from pipeline.outbox import keep
from pipeline.record import gather
from pipeline.results import results_table
from pipeline.stage import run
from pipeline.tracked_before import tracked_before
from pipeline.tracking import StoreUnavailable, local_store, track


def main() -> None:
    """Record parameters, metrics and files, unless an equal run is recorded already."""
    root = Path.cwd()
    store = os.environ.get("MLFLOW_TRACKING_URI") or local_store(root)
    record = gather(root)
    try:
        tracked = tracked_before(record, store) or track(record, store, root)
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
