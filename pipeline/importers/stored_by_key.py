"""Variables as Keras 3 stores them: by the key of each layer, and numbered."""

from __future__ import annotations

from pipeline.errors import ModelError
from pipeline.importers.hdf5 import ArrayReader, Group, read_hdf5
from pipeline.importers.keras_model import KerasLayer
from pipeline.importers.layer_table import ALIASES, READ_AS

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
OTHERS = {"Normalization": ("mean", "variance")}
"""Variables of layers that become no operation."""
UNREAD = {"Normalization": 1}
"""Number of trailing variables that inference does not read: a count of samples."""


class StoredByKey:
    """Reads the variables of a layer from HDF5 content.

    Parameters
    ----------
    data : bytes
        ``model.weights.h5`` of a ``.keras`` archive, or what ``save_weights`` of Keras 3 writes.
    label : str
        Name of the file for messages.
    """

    def __init__(self, data: bytes, label: str):
        self.groups = dict(_groups(read_hdf5(data, label, CONTAINERS)))
        self.reader = ArrayReader(label)

    def layers(self) -> set[str]:
        """Return the keys of the layers and outermost models that have variables."""
        stored = (path for path in self.groups if path.endswith("/vars"))
        return {path.split("/")[1] for path in stored if self.groups[path].members}

    def read(self, layer: KerasLayer, calls=()) -> dict:
        """Return the variables of `layer` under their short names."""
        return _variables(self.groups, layer, self.reader)


def _groups(group, path=""):
    """Yield (path, group) of all groups; on Windows, Keras writes some paths with backslashes."""
    for name, member in group.members.items():
        if isinstance(member, Group):
            inner = f"{path}/{name}" if path else name
            yield inner.replace("\\", "/"), member
            yield from _groups(member, inner)


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
            return {name: reader.read(group, str(i), name) for i, name in enumerate(names)}
    if names:
        raise ModelError(f"{reader.label}: the weights of layer '{layer.name}' are missing")
    return {}
