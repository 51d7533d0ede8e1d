"""Single runs that could not be recorded yet: copies of their files, one folder each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
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
    files.write_json(folder / STORE, {"store": store})  # last: the copy is complete
    return folder


def kept(root) -> Iterator[tuple[Path, Record, str]]:
    """Yield folder, record and store of every run in the outbox."""
    for path in sorted((Path(root) / OUTBOX).glob(f"*/{STORE}")):
        yield path.parent, gather(path.parent), files.read_json(path)["store"]


def discard(folder) -> None:
    """Remove a run that has been recorded."""
    (Path(folder) / STORE).unlink()
    shutil.rmtree(folder)
