"""Find a data set by the name of its module."""

from __future__ import annotations

from importlib import import_module

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
