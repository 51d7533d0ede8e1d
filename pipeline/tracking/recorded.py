"""Find an equal run in a local store without importing MLflow, which takes several seconds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.tracking.record import Record
from pipeline.tracking.store import EXPERIMENT, FINGERPRINT, PARENT, SQLITE, Tracked

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
    path = Path(store.removeprefix(SQLITE))
    if not store.startswith(SQLITE) or not path.is_file():
        return None
    values = {
        "tag": FINGERPRINT,
        "fingerprint": record.fingerprint,
        "experiment": EXPERIMENT,
        "parent": PARENT,
    }
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute(EQUAL, values).fetchone()
    except sqlite3.Error:
        return None
    return found and Tracked(found[0], store, True)
