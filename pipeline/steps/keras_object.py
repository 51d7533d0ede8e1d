"""Models of Keras 2 and Keras 3 that a user holds in memory; Keras is not imported here."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

PACKAGES = ("keras", "tf_keras", "tensorflow")


def is_keras(model: Any) -> bool:
    """Return True if an object is a Keras model."""
    return _package(model) is not None


def save_keras(model: Any, folder: Path) -> Path:
    """Write a Keras model into a folder by its own ``save``; return the file.

    Raises
    ------
    ModelError
        If it has no weights yet.
    """
    if not model.built:
        raise ModelError(
            f"{model.name}: has no weights yet; give it an input shape first:"
            " model.build((None, height, width, channels))"
        )
    if not _is_keras2(model):
        path = folder / f"{_file_name(model.name)}.keras"
        model.save(str(path))
        return path
    path = folder / f"{_file_name(model.name)}.h5"
    with _without_advice():
        model.save(str(path), include_optimizer=False)
    return path


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence Keras 2, which advises another format, and to compile the model."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _package(model) -> str | None:
    """Return the package that defines a model's base class `Model`, if it is Keras."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if kind.__name__ == "Model" and package in PACKAGES:
            return package
    return None


def _is_keras2(model) -> bool:
    package = _package(model)
    return package != "keras" or sys.modules["keras"].__version__.startswith("2.")


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name)
