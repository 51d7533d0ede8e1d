"""Read a Keras model from a ``.keras`` archive (config.json and model.weights.h5)."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.importers.flatten import flatten_config
from pipeline.importers.hdf5 import ALLOWANCE, EXPANSION, ArrayReader, Group, read_hdf5
from pipeline.importers.keras_h5 import parse_json
from pipeline.importers.keras_model import KerasModel
from pipeline.importers.layer_table import ALIASES, READ_AS

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
OTHERS = {"Normalization": ("mean", "variance")}
"""Variables of layers that become no operation."""
UNREAD = {"Normalization": 1}
"""Number of trailing variables that inference does not read: a count of samples."""


@contextmanager
def open_keras_zip(path: Path):
    """Open `path`; yield its `KerasModel`.

    Nothing is unpacked to disk.

    Raises
    ------
    ModelError
        If the archive is damaged, is not a Keras model, or expands to much more than its size.
    """
    label, limit = str(path), EXPANSION * path.stat().st_size + ALLOWANCE
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if not {"config.json", "model.weights.h5"} <= names:
                raise ModelError(
                    f"{label}: the archive has no config.json and model.weights.h5; it is not a"
                    " .keras file"
                )
            config = _read(archive, "config.json", limit, label)
            data = _read(archive, "model.weights.h5", limit, label)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{label}: the archive is truncated or damaged") from error
    flat = flatten_config(parse_json(config, label), label)
    groups, reader = dict(_groups(read_hdf5(data, label, CONTAINERS))), ArrayReader(label)

    def weights(layer):
        return _variables(groups, layer, reader)

    yield KerasModel(
        name=flat.name, label=label, layers=flat.layers, outputs=flat.outputs, weights=weights
    )


def _groups(group, path=""):
    """Yield (path, group) of all groups; on Windows, Keras writes some paths with backslashes."""
    for name, member in group.members.items():
        if isinstance(member, Group):
            inner = f"{path}/{name}" if path else name
            yield inner.replace("\\", "/"), member
            yield from _groups(member, inner)


def _read(archive, name, limit, label):
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ModelError(f"{label}: {name} expands to more than {limit} bytes; refused")
    return data


def _variables(groups, layer, reader):
    kind = ALIASES.get(layer.class_name, layer.class_name)
    known = kind in READ_AS
    names = READ_AS[kind].stored_variables(layer.config) if known else OTHERS.get(kind, ())
    for container in CONTAINERS:
        where = "/".join(f"{container}/{key}" for _, key in layer.path) + "/vars"
        if where in groups:
            group, wanted = groups[where], len(names) + UNREAD.get(layer.class_name, 0)
            if (count := len(group.members)) != wanted:
                raise ModelError(
                    f"{reader.label}: layer '{layer.name}' has {count} variables, expected"
                    f" {wanted} ({', '.join(names)})"
                )
            return {name: reader.read(group, str(i)) for i, name in enumerate(names)}
    if names:
        raise ModelError(f"{reader.label}: the weights of layer '{layer.name}' are missing")
    return {}
