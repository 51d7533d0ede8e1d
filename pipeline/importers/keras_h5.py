"""Read a whole Keras model from HDF5: what Keras 2 and Keras 3 write as ``.h5``."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.importers.hdf5 import DAMAGE, ArrayReader, read_hdf5, text_attribute, text_list
from pipeline.importers.keras_model import KerasModel, flatten_config

MODEL = "model_weights"


@contextmanager
def open_keras_h5(path: Path):
    """Open `path`; yield its `KerasModel`, whose weights can be read while the file is open.

    Raises
    ------
    ModelError
        When the file is damaged, or holds weights without a model configuration.
    """
    label = str(path)
    file = read_hdf5(path.read_bytes(), label, [MODEL])
    text = text_attribute(file, "model_config", label)
    if text is None:
        raise ModelError(
            f"{label}: it has no model_config (weights only?); save the whole model with"
            " model.save(...)"
        )
    name, layers, output = flatten_config(parse_json(text, label), label)
    reader = ArrayReader(label)

    def weights(layer):
        return _variables(file, layer, reader)

    yield KerasModel(name=name, label=label, layers=layers, output=output, weights=weights)


def parse_json(text: str | bytes, label: str) -> dict:
    """Return a model configuration from its JSON text."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{label}: its model configuration is not valid JSON") from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ModelError(f"{label}: its model configuration does not describe a Keras model")
    return config


def _variables(file, layer, reader):
    """Return the variables of `layer` under their short names."""
    outermost, name = layer.path[0][0], layer.path[-1][0]
    group = file.find(f"{MODEL}/{outermost}")
    try:
        stored = text_list(group, "weight_names")
    except DAMAGE as error:
        raise ModelError(f"{reader.label}: the weights of layer '{outermost}' are missing") from (
            error
        )
    arrays = {}
    for full in stored:
        stem, _, leaf = full.partition(":")[0].rpartition("/")
        stem = stem.removesuffix("/output_quantizer")
        # A nested model keeps the variables of all its layers in one group.
        if len(layer.path) == 1 or stem == name or stem.endswith(f"/{name}"):
            if leaf in arrays:
                raise ModelError(f"{reader.label}: layer '{name}' has two variables '{leaf}'")
            arrays[leaf] = reader.read(group, full)
    return arrays
