"""Who ran which code: MLflow's tags of source, commit and user."""

from __future__ import annotations

import getpass
import subprocess
from contextlib import suppress
from pathlib import Path

SECONDS = 10


def provenance(root) -> dict[str, str]:
    """Return MLflow's tags of a run that was made in a checkout.

    Parameters
    ----------
    root : path-like
        Without git, or outside of a repository, the commit is left out.
    """
    tags = {"mlflow.source.type": "LOCAL", "mlflow.source.name": "crossgrade"}
    with suppress(OSError, KeyError):  # a user id without a name, as in containers
        tags["mlflow.user"] = getpass.getuser()
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return tags
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return tags | {
        "mlflow.source.git.commit": commit,
        "crossgrade.git.dirty": str(bool(changed)).lower(),
    }


def _git(root, *words) -> str:
    command = ["git", "-C", str(Path(root)), *words]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
