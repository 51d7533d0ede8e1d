"""Stage ``track``: record a run in MLflow, including results from DVC's run cache."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from pipeline.config.choices import chosen_in
from pipeline.files import PARAMS, TABLE, home, write_text
from pipeline.stage import run
from pipeline.tracking.address import chosen_store
from pipeline.tracking.outbox import keep
from pipeline.tracking.provenance import provenance
from pipeline.tracking.record import gather
from pipeline.tracking.recorded import find_recorded
from pipeline.tracking.results import results_table
from pipeline.tracking.store import StoreUnavailable, track


def main() -> None:
    """Record parameters, metrics and files, unless an equal run is already recorded."""
    root, made = home(), Path.cwd()
    store = chosen_store(root)
    record = gather(made)
    try:
        tracked = find_recorded(record, store)
        if tracked is None:
            record = replace(record, tags=record.tags | provenance(made))
            tracked = track(record, store)
        where, message = f"{tracked.run_id} in {store}", tracked.message
    except StoreUnavailable as error:
        logging.warning("%s", error)
        folder = keep(record, made, root, store)
        where = f"not yet; kept in {folder}"
        message = f"results are kept in {folder}; 'crossgrade track --resume' records them"
    write_text(TABLE, results_table(record, where, chosen_in(PARAMS)))
    print(f"track: {message}")


if __name__ == "__main__":
    run("track", main)
