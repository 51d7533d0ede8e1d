"""Read a Keras model from a ``.keras`` archive (config.json and model.weights.h5)."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.importers.flatten import flatten_config
from pipeline.importers.foreign import foreign
from pipeline.importers.hdf5 import ALLOWANCE, EXPANSION
from pipeline.importers.keras_json import parse_json
from pipeline.importers.keras_model import KerasModel
from pipeline.importers.keras_weights import own_architecture
from pipeline.importers.stored_by_key import StoredByKey


@contextmanager
def open_keras_zip(path: Path, architecture: str | None = None):
    """Open `path`; yield its `KerasModel`.

    Nothing is unpacked to disk.

    Raises
    ------
    ModelError
        If the archive is damaged, is not a Keras model, or expands to much more than its size.
    """
    if architecture is not None:
        raise ModelError(f"{path}: {own_architecture()}")
    label, limit = str(path), EXPANSION * path.stat().st_size + ALLOWANCE
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if not {"config.json", "model.weights.h5"} <= names:
                raise ModelError(f"{label}: {foreign(path)}")
            config = _read(archive, "config.json", limit, label)
            data = _read(archive, "model.weights.h5", limit, label)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{label}: the archive is truncated or damaged") from error
    flat = flatten_config(parse_json(config, label), label)
    read = StoredByKey(data, label).read
    yield KerasModel(
        name=flat.name, label=label, layers=flat.layers, outputs=flat.outputs, weights=read
    )


def _read(archive, name, limit, label):
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ModelError(f"{label}: {name} expands to more than {limit} bytes; refused")
    return data
