"""Writers of small Keras files with h5py only, and editors of those in tests/fixtures."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np

FIXTURES = Path(__file__).parents[2] / "fixtures"


def layer(class_name, name, *sources, **config):
    """One layer of a Keras 2 Functional configuration; a source is a name or (name, call)."""
    nodes = [[[s, 0, 0, {}] if isinstance(s, str) else [*s, 0, {}] for s in sources]]
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, "dtype": "float32", **config},
        "inbound_nodes": nodes if sources else [],
    }


def image(name="image", shape=(6, 6, 2), dtype="uint8"):
    return layer("InputLayer", name, batch_input_shape=[None, *shape], dtype=dtype)


def conv(name, source, filters=3, size=3, **config):
    config = {"filters": filters, "kernel_size": [size, size], "padding": "same", **config}
    return layer("Conv2D", name, source, data_format="channels_last", **config)


def functional(layers, output=None, name="net"):
    return {
        "class_name": "Functional",
        "config": {
            "name": name,
            "layers": layers,
            "input_layers": [[layers[0]["name"], 0, 0]],
            "output_layers": [[output or layers[-1]["name"], 0, 0]],
        },
    }


def write_h5(path, config, weights):
    """Write a whole-model file; `weights` maps a layer to {variable name: array}."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.19.0"
        root = file.create_group("model_weights")
        for name, arrays in weights.items():
            group = root.create_group(name)
            full = [key if ":" in key else f"{name}/{key}:0" for key in arrays]
            group.attrs["weight_names"] = [text.encode() for text in full]
            for key, array in zip(full, arrays.values(), strict=True):
                group[key] = array
    return path


def write_keras(path, config, variables):
    """Write a ``.keras`` archive; `variables` maps ``layers/conv2d`` to a list of arrays."""
    weights = path.with_suffix(".weights")
    with h5py.File(weights, "w") as file:
        for where, arrays in variables.items():
            group = file.create_group(f"{where}/vars")
            for number, array in enumerate(arrays):
                group[str(number)] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(weights, "model.weights.h5")
    return path


def kernel(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 100


def edited(tmp_path, fixture, edit):
    """Copy a fixture with its configuration changed by ``edit({name: layer})``."""

    def edit_layers(config):
        edit({entry["config"]["name"]: entry for entry in config["config"]["layers"]})

    return edited_config(tmp_path, fixture, edit_layers)


def edited_config(tmp_path, fixture, edit):
    """Copy a fixture with its whole configuration changed by ``edit(configuration)``."""
    path = tmp_path / fixture
    shutil.copy(FIXTURES / fixture, path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)
    return path
