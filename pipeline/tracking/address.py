"""Addresses of MLflow's stores: which one a run goes to, and whether it can be used at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pipeline.errors import ConfigError

SQLITE = "sqlite:///"
VARIABLE = "MLFLOW_TRACKING_URI"
FOLDERS_ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
"""MLflow's own switch for its old stores, which are folders of files."""
SCHEME = re.compile(r"[a-z0-9+-]{2,}:", re.IGNORECASE)  # one letter is a drive of Windows


def local_store(root) -> str:
    """Return the address of the store in `root`, absolute since stages may run elsewhere."""
    return f"{SQLITE}{(Path(root).resolve() / 'mlflow.db').as_posix()}"


def chosen_store(root) -> str:
    """Return the address in the environment, or else that of the store in `root`.

    The path of a database is relative to `root`, wherever the stage runs.
    """
    store = os.environ.get(VARIABLE)
    if not store:
        return local_store(root)
    if store.startswith(SQLITE):
        return f"{SQLITE}{(Path(root).resolve() / store.removeprefix(SQLITE)).as_posix()}"
    return store


def is_remote(store: str) -> bool:
    """Return whether a server keeps the store."""
    return store.startswith(("http://", "https://"))


def database(store: str) -> Path | None:
    """Return the file of a local database, None for other stores."""
    if not store.startswith(SQLITE):
        return None
    return Path(store.removeprefix(SQLITE).partition("?")[0]).absolute()


def check_address(store: str) -> None:
    """Refuse an address with which MLflow would fail late, or after minutes of trying.

    Raises
    ------
    ConfigError
        Saying which address to use.
    """
    is_folder = store.startswith("file:") or not SCHEME.match(store)
    if is_folder and not os.environ.get(FOLDERS_ALLOWED):
        path = Path(store.removeprefix("file:").removeprefix("//") or ".").absolute()
        raise ConfigError(
            f"MLflow store {store}: is a folder, which MLflow does not write any more; set"
            f" {VARIABLE}={SQLITE}{path.parent / 'mlflow.db'}, or unset it"
        )
    file = database(store)
    if file is not None and not file.parent.is_dir():
        raise ConfigError(f"MLflow store {store}: there is no folder {file.parent}")
