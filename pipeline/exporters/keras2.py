"""Write Keras 2 files: the ``.h5`` format of tf_keras, which BrainChip's tools read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import h5py
import numpy as np

from pipeline.exporters.keras_order import in_keras_order
from pipeline.exporters.layers import keras_layers
from pipeline.exporters.names import renamed_for_keras
from pipeline.files import write_bytes
from pipeline.graph.graph import Graph

KERAS_VERSION = "2.19.0"
ATTRIBUTE_BYTES = 60_000
"""HDF5 stores lists of text in object headers of at most 64 KiB; Keras splits longer ones."""


def save_keras2_h5(path: str | Path, graph: Graph) -> None:
    """Write `graph` as a whole-model file of Keras 2; equal graphs give equal bytes.

    Layers have the names that `pipeline.exporters.names` gives them. The model is not compiled.
    The file is written atomically.

    Raises
    ------
    IncompatibleModelError
        If Keras 2 lacks a layer; names all of them.
    """
    graph = renamed_for_keras(graph, 2)
    layers = keras_layers(graph, 2)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        root = file.create_group("model_weights")
        for attributes in (file.attrs, root.attrs):
            attributes["backend"] = "tensorflow"
            attributes["keras_version"] = KERAS_VERSION
        file.attrs["model_config"] = json.dumps(_model(graph, layers), allow_nan=False)
        ordered = in_keras_order(layers, [end.name for end in graph.ends])
        _write_names(root.attrs, "layer_names", [layer.name for layer in ordered])
        for layer in layers:
            group = root.require_group(layer.name)
            names = [f"{layer.name}/{key}:0" for key in layer.variables]
            _write_names(group.attrs, "weight_names", names)
            for name, array in zip(names, layer.variables.values(), strict=True):
                group[name] = array
    write_bytes(path, buffer.getvalue())


def keras2_model(graph: Graph) -> dict:
    """Return the configuration of a model of Keras 2, as ``model.to_json()`` would write it."""
    graph = renamed_for_keras(graph, 2)
    return _model(graph, keras_layers(graph, 2))


def _model(graph, layers) -> dict:
    described = [
        {
            "class_name": layer.class_name,
            "config": layer.config,
            "name": layer.name,
            "inbound_nodes": [[[name, 0, 0, {}] for name in layer.inputs]] if layer.inputs else [],
        }
        for layer in layers
    ]
    config = {
        "name": graph.name,
        "trainable": True,
        "layers": described,
        "input_layers": [[layers[0].name, 0, 0]],
        "output_layers": [[end.name, 0, 0] for end in graph.ends],
    }
    return {"class_name": "Functional", "config": config}


def _write_names(attributes, key, names):
    encoded = [name.encode() for name in names]
    size = max((len(name) for name in encoded), default=1)
    count = max(1, ATTRIBUTE_BYTES // size)
    if len(encoded) <= count:
        attributes[key] = np.array(encoded, f"S{size}")
        return
    for number, start in enumerate(range(0, len(encoded), count)):
        attributes[f"{key}{number}"] = np.array(encoded[start : start + count], f"S{size}")
