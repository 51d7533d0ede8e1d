"""Packages that only some commands need, and the extra of crossgrade that installs each."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from pipeline.errors import CrossgradeError

EXTRAS = {
    "dvc": "pipeline",
    "fastapi": "pipeline",
    "filelock": "pipeline",
    "hydra": "pipeline",
    "matplotlib": "pipeline",
    "mlflow": "pipeline",
    "PIL": "pipeline",
    "platformdirs": "pipeline",
    "rich": "pipeline",
    "sklearn": "pipeline",
    "sqlalchemy": "pipeline",
    "uvicorn": "pipeline",
    "keras": "train",
    "tensorflow": "train",
    "scipy": "scipy",
    "onnx": "onnx",
    "ray": "ray",
}
"""By the name that is imported; all others are in the base installation."""
SEPARATE = {"tensorflow_datasets": "tensorflow-datasets"}
"""Packages of no extra, by the name that is imported."""


class MissingPackageError(CrossgradeError):
    """A package is not installed that only some commands need."""


def require(package: str, what: str, instead: str = "") -> None:
    """Refuse what needs a package that is not installed, before any work.

    Parameters
    ----------
    package : str
        Name in `EXTRAS` or `SEPARATE`.
    what : str
        What needs it, as the user wrote it: an option, a setting, a file.
    instead : str
        What can be done without the package, as a clause.

    Raises
    ------
    MissingPackageError
        With the command that installs it.
    """
    if not is_installed(package):
        other = f", or {instead}" if instead else ""
        raise MissingPackageError(f"{what}: {advice(package)}{other}")


def missing(error: ModuleNotFoundError) -> str:
    """Return the message of a package that was not found.

    Raises
    ------
    ModuleNotFoundError
        `error`, if crossgrade does not know the package: an installation is incomplete.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS and package not in SEPARATE:
        raise error
    return advice(package)


def is_installed(package: str) -> bool:
    """Return True if a package can be imported; it is not imported."""
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None


def advice(package: str) -> str:
    """Return that something needs a package, and the command that installs it."""
    wanted = f"'crossgrade[{EXTRAS[package]}]'" if package in EXTRAS else SEPARATE[package]
    return f"needs the package {package}, which is not installed; pip install {wanted}"
