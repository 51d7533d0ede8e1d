"""Single runs that could not be recorded yet: copies of their files, one folder each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.tracking.record import Record, gather

OUTBOX, STORE = "unrecorded", "store.json"


def keep(record: Record, made, root, store: str) -> Path:
    """Copy the files of a run before the next run overwrites them; return the folder.

    Parameters
    ----------
    record : Record
    made : path-like
        Where the run's files are.
    root : path-like
        Where the outbox is.
    store : str
        MLflow's tracking address, which did not respond.
    """
    root = Path(root)
    folder = root / OUTBOX / record.fingerprint[:16]
    if (folder / STORE).is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    for path in record.artifacts:
        copy = folder / path.relative_to(made)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    # Last: the copy is complete.
    files.write_json(folder / STORE, {"store": store, "tags": record.tags})
    return folder


def kept(root) -> Iterator[tuple[Path, Record, str]]:
    """Yield folder, record and store of every run in the outbox."""
    for path in sorted((Path(root) / OUTBOX).glob(f"*/{STORE}")):
        meant = files.read_json(path)
        record = gather(path.parent)
        # The code may have changed since.
        yield path.parent, replace(record, tags=meant.get("tags", record.tags)), meant["store"]


def discard(folder) -> None:
    """Remove a run that has been recorded."""
    (Path(folder) / STORE).unlink()
    shutil.rmtree(folder)
