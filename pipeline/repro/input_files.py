"""Hashes of the user's files that a run depends on: images, a model, weights."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import Config
from pipeline.data import fingerprint
from pipeline.errors import ModelError
from pipeline.files import file_sha256


def data_inputs(config: Config) -> dict[str, str]:
    """Return the SHA-256 of the user's images, by ``data.path``; empty for other sources.

    Raises
    ------
    DataError
        When they do not exist.
    """
    found = fingerprint(config.data)
    return {} if found is None else {"data.path": found}


def model_inputs(config: Config) -> dict[str, str]:
    """Return the SHA-256 of the files that ``model.path`` and ``training.weights`` name.

    Raises
    ------
    ModelError
        When one does not exist.
    """
    named = {"model.path": config.model.get("path"), "training.weights": config.training.weights}
    for name, path in named.items():
        if path is not None and not Path(path).is_file():
            raise ModelError(f"{name}: no file '{path}'; give a .npz, .h5, .keras or .onnx model")
    return {name: file_sha256(path) for name, path in named.items() if path is not None}
