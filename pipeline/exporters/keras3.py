"""Write Keras 3 files: ``.keras`` archives."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py

from pipeline.exporters.keras_order import in_keras_order
from pipeline.exporters.layers import Layer, keras_layers
from pipeline.exporters.names import renamed_for_keras
from pipeline.files import write_bytes
from pipeline.graph.graph import Graph
from pipeline.importers.flatten import variable_keys

KERAS_VERSION = "3.0.0"
"""The first version of Keras that reads the file."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def save_keras3(path: str | Path, graph: Graph) -> None:
    """Write `graph` as a ``.keras`` file; equal graphs give equal bytes.

    Layers have the names that `pipeline.exporters.names` gives them. The model is not compiled.
    The file is written atomically.

    Raises
    ------
    IncompatibleModelError
        If Keras 3 lacks a layer; names all of them.
    """
    graph = renamed_for_keras(graph, 3)
    layers = in_keras_order(keras_layers(graph, 3), [end.name for end in graph.ends])
    by_name = {layer.name: layer for layer in layers}
    described = [_described(layer, by_name) for layer in layers]
    config = {
        "name": graph.name,
        "trainable": True,
        "layers": described,
        "input_layers": [[layers[0].name, 0, 0]],
        "output_layers": [[end.name, 0, 0] for end in graph.ends],
    }
    model = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": None,
    }
    metadata = {"keras_version": KERAS_VERSION, "date_saved": "1980-01-01@00:00:00"}
    members = {
        "metadata.json": json.dumps(metadata).encode(),
        "config.json": json.dumps(model, allow_nan=False).encode(),
        "model.weights.h5": _weights(layers, variable_keys(described)),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    write_bytes(path, buffer.getvalue())


def _described(layer: Layer, by_name) -> dict:
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": [None, *by_name[name].shape],
                "dtype": by_name[name].dtype,
                "keras_history": [name, 0, 0],
            },
        }
        for name in layer.inputs
    ]
    calls = []
    if tensors:
        calls = [{"args": [tensors] if len(tensors) > 1 else tensors, "kwargs": {}}]
    return {
        "module": "keras.layers",
        "class_name": layer.class_name,
        "config": layer.config,
        "registered_name": None,
        "name": layer.name,
        "inbound_nodes": calls,
    }


def _weights(layers, keys) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for layer, key in zip(layers, keys, strict=True):
            group = file.create_group(f"layers/{key}/vars")
            group.attrs["name"] = layer.name
            for number, array in enumerate(layer.variables.values()):
                group[str(number)] = array
        file.create_group("vars")
    return buffer.getvalue()
