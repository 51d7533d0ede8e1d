"""Find an equal run in a local store without importing MLflow, which takes several seconds."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from pipeline.tracking.address import database
from pipeline.tracking.moved import follow_move
from pipeline.tracking.record import Record
from pipeline.tracking.store import EXPERIMENT, FINGERPRINT, PARENT, Tracked

EQUAL = """
SELECT runs.run_uuid FROM runs
JOIN experiments USING (experiment_id)
JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = :tag AND tags.value = :fingerprint
WHERE experiments.name = :experiment AND experiments.lifecycle_stage = 'active'
AND runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active'
AND NOT EXISTS (
  SELECT 1 FROM tags WHERE tags.run_uuid = runs.run_uuid AND tags.key = :parent
)
"""


def find_recorded(record: Record, store: str) -> Tracked | None:
    """Return the finished run that equals `record` and is not a sweep point, or None.

    Also None for other kinds of store and other database schemas; `track` then asks MLflow.
    """
    path = database(store)
    if path is None or not path.is_file():
        return None
    follow_move(store, EXPERIMENT)
    values = {
        "tag": FINGERPRINT,
        "fingerprint": record.fingerprint,
        "experiment": EXPERIMENT,
        "parent": PARENT,
    }
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(EQUAL, values).fetchone()
    except sqlite3.Error:
        return None
    return found and Tracked(found[0], store, True)
