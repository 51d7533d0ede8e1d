"""Damaged and hostile files raise one clear error, in bounded memory and time."""

import json
import zipfile
from itertools import pairwise

import h5py
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.importers import load_model
from tests.pipeline.importers.keras_files import (
    FIXTURES,
    conv,
    functional,
    image,
    kernel,
    layer,
    write_h5,
    write_keras,
)

CONFIG = functional([image(), conv("c", "image")])
WEIGHTS = {"c": {"kernel": kernel(3, 3, 2, 3), "bias": kernel(3)}}


def refused(path, match):
    with pytest.raises(ModelError, match=match) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_missing_foreign_and_empty_files(tmp_path):
    refused(tmp_path / "none.h5", "no such file")
    refused(tmp_path, "is a folder")
    for content, match in ((b"", "is empty"), (b"PK", "neither HDF5"), (b"not a", "neither HDF5")):
        path = tmp_path / "m.h5"
        path.write_bytes(content)
        refused(path, match)


@pytest.mark.parametrize("kept", [9, 600, 2048, 20000])
def test_truncated_hdf5(tmp_path, kept):
    path = tmp_path / "m.h5"
    path.write_bytes((FIXTURES / "quantized_residual.h5").read_bytes()[:kept])
    refused(path, "damaged")


def test_truncated_archive(tmp_path):
    path = write_keras(tmp_path / "m.keras", CONFIG, {"layers/conv2d": [kernel(1)]})
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, "damaged")


def test_weights_only(tmp_path):
    path = write_h5(tmp_path / "m.h5", CONFIG, WEIGHTS)
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    refused(path, "no model_config")


def test_layers_without_weights_share_one_reason(tmp_path):
    """Nothing else of the file is needed to say so, whatever the number of layers."""
    names = [f"layer_with_a_long_name_{n}" for n in range(150)]
    convs = [conv(name, source) for source, name in pairwise(["image", *names])]
    path = write_h5(tmp_path / "m.h5", functional([image(), *convs]), {})
    with pytest.raises(ModelError) as caught:
        load_model(path)
    first, line = str(caught.value).split("\n")
    assert first.endswith("cannot read the model, 1 reason:")
    assert "140 other layers: its weights are missing" in line and len(line) < 1000


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e308, "x" * 20000, [[0]] * 5000])
@pytest.mark.parametrize("key", ["filters", "kernel_size", "strides", "dilation_rate"])
def test_values_that_are_no_sizes(tmp_path, key, value):
    config = functional([image(), conv("c", "image", **{key: value})])
    with pytest.raises(ModelError) as caught:
        load_model(write_h5(tmp_path / "m.h5", config, WEIGHTS))
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '"x"', "[" * 100_000, '{"class_name": "Functional", "config": {}}', "{}"],
    ids=["cut", "list", "text", "deep", "empty", "nothing"],
)
def test_malformed_configurations(tmp_path, text):
    path = write_h5(tmp_path / "m.h5", CONFIG, WEIGHTS)
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
        file.attrs.create("model_config", np.bytes_(text)) if len(text) < 60_000 else None
        if len(text) >= 60_000:
            file.attrs["model_config"] = text[:60_000]
    refused(path, "configuration")


def test_cyclic_and_dangling_graphs(tmp_path):
    for source in ("b", "nowhere"):
        config = functional([image(), conv("a", source), conv("b", "a")])
        refused(write_h5(tmp_path / "m.h5", config, {"a": {}, "b": {}}), "wait for each other")


def test_deeply_nested_models(tmp_path):
    config = functional([image(), conv("c", "image")])
    for _ in range(40):
        inner = {**config, "name": "inner", "inbound_nodes": [[["image", 0, 0, {}]]]}
        config = functional([image(), inner], output="inner")
    refused(write_h5(tmp_path / "m.h5", config, {}), "nested more than")


def test_models_that_multiply(tmp_path):
    config = functional([image(), layer("Dropout", "d", "image", rate=0.1)])
    for _ in range(14):
        calls = [[["image", 0, 0, {}]], [["inner", 0, 0, {}]]]
        inner = {**config, "name": "inner", "inbound_nodes": calls}
        config = functional([image(), inner], output="inner")
        config["config"]["output_layers"] = [["inner", 1, 0]]
    refused(write_h5(tmp_path / "m.h5", config, {}), "more than 4096 layers")


def test_shapes_larger_than_the_file(tmp_path):
    path = write_h5(tmp_path / "m.h5", CONFIG, {"c": {"bias": kernel(3)}})
    with h5py.File(path, "r+") as file:
        group = file["model_weights/c"]
        group.create_dataset("c/kernel:0", (10**5, 10**4), "f4", chunks=(100, 100))
        group.attrs["weight_names"] = [b"c/kernel:0", b"c/bias:0"]
    refused(path, "more than the file can hold")


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((3, 3, 2, 3), np.int32), "int32"),
        (np.array([b"x"]), "weights are float"),
        (
            np.full((3, 3, 2, 3), np.nan, np.float32),
            "c/kernel:0': 54 of 54 values are NaN",
        ),
    ],
)
def test_wrong_values(tmp_path, array, match):
    weights = {"c": {"kernel": array, "bias": kernel(3)}}
    path = write_h5(tmp_path / "m.h5", CONFIG, weights)
    with pytest.raises(ModelError, match=match):
        load_model(path)


def test_links_out_of_the_file_are_not_followed(tmp_path):
    secret = write_h5(tmp_path / "secret.h5", CONFIG, WEIGHTS)
    path = write_h5(tmp_path / "m.h5", CONFIG, {"c": {"bias": kernel(3)}})
    with h5py.File(path, "r+") as file:
        group = file["model_weights/c"]
        group["c/kernel:0"] = h5py.ExternalLink(str(secret), "/model_weights/c/c/kernel:0")
        group.attrs["weight_names"] = [b"c/kernel:0", b"c/bias:0"]
    with pytest.raises(ModelError, match="missing or damaged"):
        load_model(path)


def test_arrays_kept_in_other_files_are_not_read(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(216))
    path = write_h5(tmp_path / "m.h5", CONFIG, {"c": {"bias": kernel(3)}})
    with h5py.File(path, "r+") as file:
        group = file["model_weights/c"]
        group.create_dataset(
            "c/kernel:0", (3, 3, 2, 3), "f4", external=[(str(tmp_path / "raw"), 0, 216)]
        )
        group.attrs["weight_names"] = [b"c/kernel:0", b"c/bias:0"]
    with pytest.raises(ModelError, match="another file"):
        load_model(path)


def test_archives_that_expand_enormously(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(CONFIG))
        archive.writestr("model.weights.h5", bytes(1 << 25))
    refused(path, "expands to more than")


def test_archives_of_something_else(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil", "x")
    refused(path, "not a .keras file")


def test_every_layer_with_values_that_are_not_finite_is_named(tmp_path):
    """Layers are named in each container, also where variables have numbers for names."""
    bad = kernel(3, 3, 3, 3)
    bad[0, 0, 0] = np.nan, np.inf, -np.inf
    config = functional([image(), conv("c", "image"), conv("d", "c"), conv("e", "d")])
    arrays = {"c": kernel(3, 3, 2, 3), "d": bad, "e": 2 * bad}
    stored = {name: {"kernel": array, "bias": kernel(3)} for name, array in arrays.items()}
    keys = zip(("conv2d", "conv2d_1", "conv2d_2"), arrays.values(), strict=True)
    variables = {f"layers/{key}": [array, kernel(3)] for key, array in keys}
    files = (
        (write_h5(tmp_path / "m.h5", config, stored), ["d: weight 'd/kernel:0'", "e: weight 'e/"]),
        (write_keras(tmp_path / "m.keras", config, variables), ["  - d, e: weight 'kernel'"]),
    )
    for path, expected in files:
        with pytest.raises(ModelError) as error:
            load_model(path)
        message = str(error.value)
        assert all(found in message for found in expected) and " c: " not in message
        assert message.count("3 of 81 values are NaN") == len(expected)
