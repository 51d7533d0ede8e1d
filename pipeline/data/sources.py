"""Find a data set by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pipeline.data import arrays, image_folder
from pipeline.data.dataset import Dataset
from pipeline.errors import DataError

SOURCES = (
    "arrays",
    "digits",
    "digits32",
    "fashion_mnist",
    "image_folder",
    "japanese_vowels",
    "spoken_digits",
)
LIBRARIES = {"keras": "keras_sets", "tfds": "tfds_sets"}
"""Prefix of a name before the colon, and its module."""
OWN = {"arrays": arrays.fingerprint, "image_folder": image_folder.fingerprint}
"""Sources with the user's own content, which may change."""


def known_sources() -> tuple[str, ...]:
    """Return the names that ``data.name`` may have."""
    return SOURCES


def load_data(options) -> Dataset:
    """Return the data set that `options` names.

    Parameters
    ----------
    options : pipeline.config.Data
        ``name``, ``path``, ``image_size``, ``train_samples``, ``test_samples`` and ``seed``.

    Raises
    ------
    DataError
        When the source is unknown, or its files are missing or damaged.
    """
    library, colon, _ = options.name.partition(":")
    module = LIBRARIES.get(library) if colon else options.name
    if module is None or not (colon or module in SOURCES):
        known = ", ".join((*SOURCES, *(f"{name}:<name>" for name in LIBRARIES)))
        raise DataError(f"data.name: found '{options.name}'; known sources: {known}")
    dataset = import_module(f"pipeline.data.{module}").load(options)
    return dataset.subset(options.train_samples, options.test_samples, seed=options.seed)


def fingerprint(options) -> str | None:
    """Return the SHA-256 of the user's files; None for a source with fixed content.

    Raises
    ------
    DataError
        When they do not exist.
    """
    if options.name not in OWN:
        return None
    if not Path(options.path or "").exists():
        raise DataError(f"data.path: no file or folder '{options.path}'")
    return OWN[options.name](options.path)
