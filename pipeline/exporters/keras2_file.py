"""The whole-model ``.h5`` file of Keras 2, whatever the layers in it are."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from pipeline.exporters.keras_order import in_keras_order
from pipeline.exporters.layers import Layer
from pipeline.files import write_bytes
from pipeline.formats.remarks import ATTRIBUTE, Remarks

KERAS_VERSION = "2.19.0"
ATTRIBUTE_BYTES = 60_000
"""HDF5 stores lists of text in object headers of at most 64 KiB; Keras splits longer ones."""


def write_keras2(
    path: str | Path,
    name: str,
    layers: Sequence[Layer],
    outputs: Sequence[str],
    remarks: Remarks | None = None,
    *,
    sequential: bool = False,
) -> None:
    """Write a model, atomically; equal layers give equal bytes.

    Parameters
    ----------
    path : str or Path
    name : str
        Of the model.
    layers : sequence of Layer
        In topological order, the input first; all contribute to an output.
    outputs : sequence of str
        Names of the layers that compute the outputs.
    remarks : Remarks, optional
        What the layers cannot hold; other tools ignore it.
    sequential : bool
        Write a Sequential model instead of a functional one; every layer has one input.
    """
    model = _sequential(name, layers) if sequential else functional(name, layers, outputs)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        root = file.create_group("model_weights")
        for attributes in (file.attrs, root.attrs):
            attributes["backend"] = "tensorflow"
            attributes["keras_version"] = KERAS_VERSION
        file.attrs["model_config"] = json.dumps(model, allow_nan=False)
        if remarks is not None:
            file.attrs[ATTRIBUTE] = remarks.text()
        ordered = layers[1:] if sequential else in_keras_order(layers, outputs)
        _write_names(root.attrs, "layer_names", [layer.name for layer in ordered])
        for layer in ordered:
            group = root.require_group(layer.name)
            names = [f"{layer.name}/{key}:0" for key in layer.variables]
            _write_names(group.attrs, "weight_names", names)
            for name, array in zip(names, layer.variables.values(), strict=True):
                group[name] = array
    write_bytes(path, buffer.getvalue())


def functional(name: str, layers: Sequence[Layer], outputs: Sequence[str]) -> dict:
    """Return the configuration of a functional model; arguments as in `write_keras2`."""
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
        "name": name,
        "trainable": True,
        "layers": described,
        "input_layers": [[layers[0].name, 0, 0]],
        "output_layers": [[output, 0, 0] for output in outputs],
    }
    return {"class_name": "Functional", "config": config}


def _sequential(name, layers) -> dict:
    described = [{"class_name": layer.class_name, "config": layer.config} for layer in layers]
    return {"class_name": "Sequential", "config": {"name": name, "layers": described}}


def _write_names(attributes, key, names):
    encoded = [name.encode() for name in names]
    size = max((len(name) for name in encoded), default=1)
    count = max(1, ATTRIBUTE_BYTES // size)
    if len(encoded) <= count:
        attributes[key] = np.array(encoded, f"S{size}")
        return
    for number, start in enumerate(range(0, len(encoded), count)):
        attributes[f"{key}{number}"] = np.array(encoded[start : start + count], f"S{size}")
