"""Keep the files of recorded runs reachable when the folder of a local store is moved or copied.

MLflow stores absolute paths of artifacts. Those of another place would be written to the old
folder, or fail, and be missing in the user interface.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

from pipeline.tracking.address import database

ARTIFACTS = "mlruns"
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
"""Where MLflow's schema holds paths."""
KNOWN = "SELECT artifact_location FROM experiments WHERE name = ?"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


def artifact_folder(file: Path) -> str:
    """Return the address of the folder of artifacts beside a database."""
    return (file.parent / ARTIFACTS).as_uri()


def follow_move(store: str, experiment: str) -> str | None:
    """Correct the paths in a local store after its folder was moved or copied.

    Parameters
    ----------
    store : str
        MLflow's tracking address.
    experiment : str
        Name of the experiment.

    Returns
    -------
    str or None
        The old address of the artifacts; None if there was nothing to correct.
    """
    file = database(store)
    if file is None or not file.is_file():
        return None
    new = artifact_folder(file)
    try:
        with closing(sqlite3.connect(file)) as connection, connection:
            found = connection.execute(KNOWN, (experiment,)).fetchone()
            if found is None or not _has_moved(found[0], new):
                return None
            tables = {name for (name,) in connection.execute(TABLES)}
            for table, column in COLUMNS:
                if table in tables:
                    connection.execute(
                        f"UPDATE {table} SET {column} = :new || substr({column}, :length)"
                        f" WHERE {column} = :old OR {column} LIKE :old || '/%'",
                        {"new": new, "old": found[0], "length": len(found[0]) + 1},
                    )
    except sqlite3.Error:  # another schema, or no database: MLflow reports what is wrong
        return None
    return found[0]


def _has_moved(old: str, new: str) -> bool:
    """Return whether artifacts at `old` are now at `new`, or nowhere.

    An address that a user chose for another folder is kept.
    """
    parts = urlparse(old)
    if old == new or parts.scheme != "file":
        return False
    before, after = Path(unquote(parts.path)), Path(unquote(urlparse(new).path))
    if before.name != ARTIFACTS:
        return False
    return not before.is_dir() or set() != _runs(after) <= _runs(before)


def _runs(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")}
