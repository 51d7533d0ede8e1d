"""Find a data set by the name of its module."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from pipeline.data import arrays
from pipeline.data.dataset import Dataset
from pipeline.errors import DataError

SOURCES = ("arrays", "digits", "digits32", "fashion_mnist")


def known_sources() -> tuple[str, ...]:
    """Return the names that ``data.name`` may have."""
    return SOURCES


def load_data(options) -> Dataset:
    """Return the data set that `options` names.

    Parameters
    ----------
    options : pipeline.config.Data
        ``name``, ``path``, ``train_samples``, ``test_samples`` and ``seed``.

    Raises
    ------
    DataError
        When the source is unknown, or its files are missing or damaged.
    """
    if options.name not in SOURCES:
        raise DataError(f"data.name: found '{options.name}'; known sources: {', '.join(SOURCES)}")
    dataset = import_module(f"pipeline.data.{options.name}").load(options)
    return dataset.subset(options.train_samples, options.test_samples, seed=options.seed)


def fingerprint(options) -> str | None:
    """Return the SHA-256 of the user's file; None for a source whose content never changes."""
    return arrays.fingerprint(options.path) if options.name == "arrays" else None


def check_unchanged(options, built: Mapping) -> None:
    """Refuse results whose images have been replaced since the model was built.

    Parameters
    ----------
    options : pipeline.config.Data
    built : mapping
        Metrics of the ``build`` stage; ``data_sha256`` is the fingerprint it saw.

    Raises
    ------
    DataError
        DVC sees the path of the user's file, not its content; this tells the user.
    """
    if fingerprint(options) != built.get("data_sha256"):
        raise DataError(
            f"data.path: '{options.path}' has changed since the model was built; run "
            "'dvc repro --force build' and then 'dvc repro'"
        )
