"""Read a whole Keras model from HDF5, the ``.h5`` files of Keras 2 and Keras 3."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.formats.remarks import ATTRIBUTE, read_remarks
from pipeline.importers.flatten import flatten_config
from pipeline.importers.hdf5 import (
    DAMAGE,
    ArrayReader,
    Group,
    read_hdf5,
    text_attribute,
    text_list,
)
from pipeline.importers.keras_json import parse_json
from pipeline.importers.keras_model import KerasModel
from pipeline.importers.keras_weights import (
    check_all_known,
    given_architecture,
    own_architecture,
    weights_by_layer,
)
from pipeline.importers.stored_by_key import StoredByKey
from pipeline.importers.variable_owners import owners
from pipeline.importers.weights import MISSING

MODEL = "model_weights"
BOOKKEEPING = ("count", "mask", "threshold", "pruning_step")
"""Variables of Normalization and PruneLowMagnitude that inference does not read."""


@contextmanager
def open_keras_h5(path: Path, architecture: str | None = None):
    """Open `path`; yield its `KerasModel`, whose weights can be read while the file is open.

    Parameters
    ----------
    path : Path
    architecture : str, optional
        For a file of weights only, see `pipeline.importers.keras_weights.given_architecture`.

    Raises
    ------
    ModelError
        If the file is damaged, or has weights without a model configuration and none is given.
    """
    label, content = str(path), path.read_bytes()
    file = read_hdf5(content, label, [MODEL])
    text = text_attribute(file, "model_config", label)
    if text is not None and architecture is not None:
        raise ModelError(f"{label}: {own_architecture()}")
    if text is not None:
        flat = flatten_config(parse_json(text, label), label)
        read = _Variables(file, MODEL, label).read
    else:
        flat = flatten_config(given_architecture(architecture, label), label)
        root = weights_by_layer(content, file, label)
        variables = StoredByKey(content, label) if root is None else _Variables(root, "", label)
        known = {name for call in flat.calls for name in call.path[0]}
        check_all_known(variables.layers(), known, label, architecture)
        read = variables.read
    yield KerasModel(
        name=flat.name,
        label=label,
        layers=flat.layers,
        outputs=flat.outputs,
        weights=lambda layer: read(layer, flat.calls),
        remarks=read_remarks(text_attribute(file, ATTRIBUTE, label), label),
    )


class _Variables:
    """Reads the variables of a layer from the group of the outermost model or layer it is in."""

    def __init__(self, file, place, label):
        self.file, self.place, self.reader = file, place, ArrayReader(label)
        self.known: dict[str, dict] = {}

    def layers(self):
        """Yield the names of the layers and outermost models that have variables."""
        for name in text_list(self.file, "layer_names"):
            group = self.file.find(f"{self.place}/{name}")
            if isinstance(group, Group) and text_list(group, "weight_names"):
                yield name

    def read(self, layer, calls):
        """Return the variables of `layer` under their short names."""
        outermost = layer.path[0][0]
        group, stored = self._group(outermost, layer)
        if outermost not in self.known:
            inside = [call for call in calls if call.path[0][0] == outermost]
            self.known[outermost] = owners(inside, stored, self.reader.label)
        found = self.known[outermost].get(layer.path, {})
        return {
            leaf: self.reader.read(group, full)
            for leaf, full in found.items()
            if leaf not in BOOKKEEPING
        }

    def _group(self, outermost, layer):
        # A wrapper's variables are stored under its own name, or that of the layer inside.
        names = [outermost, layer.config.get("name", outermost)]
        for name in names if len(layer.path) == 1 else names[:1]:
            group = self.file.find(f"{self.place}/{name}")
            try:
                return group, text_list(group, "weight_names")
            except DAMAGE as error:
                cause = error
        raise ModelError(MISSING) from cause
