"""Read a whole Keras model from HDF5, the ``.h5`` files of Keras 2 and Keras 3."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.importers.flatten import flatten_config
from pipeline.importers.hdf5 import DAMAGE, ArrayReader, read_hdf5, text_attribute, text_list
from pipeline.importers.keras_model import KerasModel
from pipeline.importers.variable_owners import owners

MODEL = "model_weights"
BOOKKEEPING = ("count", "mask", "threshold", "pruning_step")
"""Variables of Normalization and PruneLowMagnitude that inference does not read."""


@contextmanager
def open_keras_h5(path: Path):
    """Open `path`; yield its `KerasModel`, whose weights can be read while the file is open.

    Raises
    ------
    ModelError
        If the file is damaged, or has weights without a model configuration.
    """
    label = str(path)
    file = read_hdf5(path.read_bytes(), label, [MODEL])
    text = text_attribute(file, "model_config", label)
    if text is None:
        raise ModelError(
            f"{label}: it has no model_config (weights only?); save the whole model with"
            " model.save(...)"
        )
    flat = flatten_config(parse_json(text, label), label)
    variables = _Variables(file, flat.calls, ArrayReader(label))
    yield KerasModel(
        name=flat.name,
        label=label,
        layers=flat.layers,
        outputs=flat.outputs,
        weights=variables.read,
    )


def parse_json(text: str | bytes, label: str) -> dict:
    """Return a model configuration from its JSON text."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{label}: its model configuration is not valid JSON") from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ModelError(f"{label}: its model configuration does not describe a Keras model")
    return config


class _Variables:
    """Reads the variables of a layer from the group of the outermost model or layer it is in."""

    def __init__(self, file, calls, reader):
        self.file, self.calls, self.reader = file, calls, reader
        self.known: dict[str, dict] = {}

    def read(self, layer):
        """Return the variables of `layer` under their short names."""
        outermost = layer.path[0][0]
        group, stored = self._group(outermost, layer)
        if outermost not in self.known:
            inside = [call for call in self.calls if call.path[0][0] == outermost]
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
            group = self.file.find(f"{MODEL}/{name}")
            try:
                return group, text_list(group, "weight_names")
            except DAMAGE as error:
                cause = error
        raise ModelError(
            f"{self.reader.label}: the weights of layer '{outermost}' are missing"
        ) from cause
