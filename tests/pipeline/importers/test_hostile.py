"""Maliciously changed files are refused with a message, or imported correctly."""

import copy
import json
import random
import zipfile

import h5py
import numpy as np
import pytest

from pipeline.errors import CrossgradeError, ModelError
from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.importers import load_model
from tests.pipeline.exporters.networks import NETWORKS


@pytest.fixture
def model(tmp_path):
    """Return a function that writes a valid file, damages it with `edit`, and returns its path."""

    def make(network, edit):
        path = tmp_path / "model.h5"
        save_keras2_h5(path, NETWORKS[network]())
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            layers = {layer["name"]: layer["config"] for layer in config["config"]["layers"]}
            edit(file["model_weights"], config, layers)
            file.attrs["model_config"] = json.dumps(config)
        return path

    return make


CONFIGURATIONS = [
    ("blocks", "conv_0", "filters", 10**9, "conv_0: Conv2D has bias"),
    ("blocks", "conv_0", "filters", "4", "conv_0: filters is '4'"),
    ("blocks", "conv_0", "strides", [-1, 1], "conv_0: strides is"),
    ("blocks", "conv_0", "dilation_rate", [10**9, 1], "conv_0: dilation_rate is"),
    ("blocks", "conv_0", "groups", 0, "conv_0: groups is 0"),
    ("blocks", "conv_0", "groups", 3, "groups is 3; it must divide"),
    ("blocks", "conv_0", "padding", 7, "conv_0: padding is 7"),
    ("blocks", "conv_0/BN", "epsilon", float("nan"), "conv_0/BN: epsilon is nan"),
    ("blocks", "conv_0/BN", "scale", [], "conv_0/BN: scale is"),
    ("blocks", "conv_0/relu", "max_value", -3, "conv_0/relu: max_value is -3"),
    ("blocks", "rescaling", "scale", [1] * 1000, "scale has 1000 values"),
    ("blocks", "dropout", "rate", 10**400, "dropout: rate is"),
    ("blocks", "softmax", "axis", 4, "softmax: axis is 4"),
    ("blocks", "input", "batch_input_shape", [None, 10**9, 10**9, 3], "too large for any memory"),
    ("blocks", "input", "batch_input_shape", [None, []], "its shape is"),
    ("blocks", "input", "dtype", "object", "input: dtype is 'object'"),
    ("windows", "up_sampling2d", "size", [1024, 1024], "dense: Dense has kernel"),
    ("windows", "zero_padding2d", "padding", [[10**9, 0], [0, 0]], "padding is"),
    ("windows", "permute", "dims", [9, 9, 9], "permute: dims is"),
    ("windows", "reshape", "target_shape", "abc", "reshape: target_shape is"),
]


@pytest.mark.parametrize(("network", "layer", "key", "value", "match"), CONFIGURATIONS)
def test_impossible_configurations(model, network, layer, key, value, match):
    with pytest.raises(ModelError, match=match):
        load_model(model(network, lambda root, config, layers: layers[layer].update({key: value})))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a//b", "a\x1b[31m", "a\\b", 3]
)
def test_names_with_paths_or_control_characters(model, name):
    def rename(root, config, layers):
        text = json.dumps(config).replace('"conv_0"', json.dumps(name))
        config.update(json.loads(text))

    with pytest.raises(ModelError, match="is no name") as caught:
        load_model(model("blocks", rename))
    assert "\x1b" not in str(caught.value)


def replaced(array, **options):
    def edit(root, config, layers):
        del root["conv_0"]["conv_0/kernel:0"]
        root["conv_0"].create_dataset("conv_0/kernel:0", data=array, **options)

    return edit


def bomb(root, config, layers):
    del root["conv_0"]["conv_0/kernel:0"]
    options = {"chunks": (1000, 1000), "compression": "gzip", "fillvalue": 1.0}
    root["conv_0"].create_dataset("conv_0/kernel:0", (30_000, 30_000), "f4", **options)


def renamed(*names):
    def edit(root, config, layers):
        root["conv_0"].attrs["weight_names"] = np.array(names)

    return edit


def looped(root, config, layers):
    del root["conv_0"]
    root["conv_0"] = h5py.SoftLink("/model_weights")


@pytest.mark.parametrize(
    "edit",
    [
        bomb,
        looped,
        replaced(np.zeros((3, 3, 3, 4), np.complex64)),
        replaced(np.full((3, 3, 3, 4), 1e300)),
        replaced(np.float32(1)),
        renamed(b"../../../etc/passwd"),
        renamed(b"conv_0/kernel:0", b"conv_0/kernel:0"),
        renamed(1, 2),
    ],
    ids=["bomb", "loop", "complex", "too large", "scalar", "path", "twice", "numbers"],
)
def test_weights_that_are_not_finite_numbers(model, edit):
    with pytest.raises(ModelError):
        load_model(model("blocks", edit))


def test_float16_and_float64_weights_are_read(model):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    for dtype in (np.float16, np.float64):
        graph = load_model(model("blocks", replaced(kernel.astype(dtype))))
        expected = kernel.astype(dtype).astype(np.float32)
        np.testing.assert_array_equal(graph.node("conv_0").weights["kernel"], expected)


def test_one_layer_called_very_often(model):
    def repeat(root, config, layers):
        config["config"]["layers"][2]["inbound_nodes"] *= 5000

    with pytest.raises(ModelError, match="more than 4096 layers"):
        load_model(model("blocks", repeat))


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("config.json", b" " * (1 << 26)),
        ("config.json", b"[" * (1 << 20)),
        ("config.json", b"\xff\xfe\xfa"),
        ("config.json", b'{"class_name": "Functional", "config": ' + b"9" * 5000 + b"}"),
        ("model.weights.h5", b"garbage"),
        ("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(2000)),
    ],
    ids=["bomb", "deep", "no text", "long number", "garbage", "damaged"],
)
def test_archives_with_a_damaged_member(tmp_path, member, content):
    path = tmp_path / "m.keras"
    save_keras3(path, NETWORKS["blocks"]())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, member: content}.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError):
        load_model(path)


def test_other_members_are_never_unpacked(tmp_path):
    path = tmp_path / "m.keras"
    save_keras3(path, NETWORKS["blocks"]())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil", "x")
    before = sorted(tmp_path.rglob("*"))
    assert len(load_model(path).nodes) == len(NETWORKS["blocks"]().nodes)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_random_damage_is_refused_or_harmless(tmp_path, suffix):
    path = tmp_path / f"m.{suffix}"
    {"h5": save_keras2_h5, "keras": save_keras3}[suffix](path, NETWORKS["blocks"]())
    good, rng = path.read_bytes(), random.Random(0)
    for _ in range(60):
        data = bytearray(good)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(rng.choice([6000, len(data)]))] = rng.randrange(256)
        path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        harmless(path)


@pytest.mark.parametrize("network", ["blocks", "windows", "activations"])
def test_random_configurations_are_refused_or_harmless(tmp_path, network):
    path = tmp_path / "m.h5"
    save_keras2_h5(path, NETWORKS[network]())
    with h5py.File(path) as file:
        good = json.loads(file.attrs["model_config"])
    rng, places = random.Random(0), list(leaves(good))
    values = [None, True, -1, 0, 2.5, 10**12, 1e308, float("nan"), "x", "", [], {}, [[]], [1, 2]]
    for _ in range(120):
        config, place = copy.deepcopy(good), rng.choice(places)
        holder = config
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = rng.choice(values)
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
        harmless(path)


def harmless(path):
    try:
        graph = load_model(path)
    except CrossgradeError as error:
        assert str(error)
    else:
        assert graph.shapes[graph.output]


def leaves(value, place=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*place, key)
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*place, key))
