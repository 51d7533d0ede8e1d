"""Options of layers: supported ones are imported, others refused by name."""

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from pipeline.importers.option_check import IDENTITIES
from pipeline.messages.notes import texts
from tests.pipeline.importers.keras_files import (
    conv,
    functional,
    image,
    kernel,
    layer,
    write_h5,
    write_keras,
)

CONV = {"kernel": kernel(3, 3, 2, 3), "bias": kernel(3)}
SHAPE = (6, 6, 2)
IMAGES = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)


def read(tmp_path, kind, weights=None, **config):
    model = functional([image(dtype="float32"), layer(kind, "l", "image", **config)])
    return load_model(write_h5(tmp_path / "m.h5", model, {"l": weights or {}}))


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("ReLU", {"max": 3}),
        ("ReLU", {"activation": "tanh"}),
        ("Flatten", {"order": "F"}),
        ("MaxPooling2D", {"ceil_mode": True}),
        ("GaussianNoise", {"always": True}),
        ("Rescaling", {"scale": 1.0, "power": 2}),
        ("Activation", {"activation": "relu", "max_value": 6}),
        ("Normalization", {"mean": 0.0, "variance": 1.0, "clip": True}),
    ],
)
def test_unknown_options(tmp_path, kind, config):
    with pytest.raises(IncompatibleModelError, match=f"l: {kind} has the option '{[*config][-1]}'"):
        read(tmp_path, kind, **config)


@pytest.mark.parametrize("key", ["lora_rank", "quantization_config"])
def test_changed_kernels(tmp_path, key):
    weights = {"kernel": kernel(2, 3), "bias": kernel(3)}
    assert read(tmp_path, "Dense", weights, units=3, **{key: None}).output == "l"
    with pytest.raises(IncompatibleModelError, match=f"l: {key} is 2; allowed: none"):
        read(tmp_path, "Dense", weights, units=3, **{key: 2})


POLICIES = ["float16", "bfloat16", "mixed_bfloat16", "int32", "uint8", "int8_from_float32"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("stored", ["name", "policy"])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Activation", {"activation": "relu"}),
        ("Rescaling", {"scale": 2.0}),
        ("Flatten", {}),
        ("Dropout", {"rate": 0.5}),
        ("Identity", {}),
    ],
)
def test_dtypes_that_round(tmp_path, policy, stored, kind, config):
    dtype = (
        policy if stored == "name" else {"class_name": "DTypePolicy", "config": {"name": policy}}
    )
    with pytest.raises(IncompatibleModelError, match=f"l: its dtype is '{policy}'"):
        read(tmp_path, kind, **{**config, "dtype": dtype})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_inputs_that_round(tmp_path, dtype):
    config = functional([image(dtype=dtype), layer("Flatten", "l", "image")])
    with pytest.raises(IncompatibleModelError, match=f"image: its dtype is '{dtype}'"):
        load_model(write_h5(tmp_path / "m.h5", config, {"l": {}}))


def test_mixed_precision_is_read_with_a_note(tmp_path):
    config = functional([image(dtype="float32"), conv("c", "image", dtype="mixed_float16")])
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV}))
    (note,) = graph.notes
    assert note.text.startswith("c: Keras computes them in float16")
    config["config"]["layers"][0]["config"]["dtype"] = "float16"
    again = load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV}))
    assert again.input.attrs["dtype"] == "float32" and again.notes == graph.notes


@pytest.mark.parametrize("kind", ["ReLU", "AveragePooling2D", "GlobalAveragePooling2D", "Softmax"])
@pytest.mark.parametrize("between", [(), ("Flatten", "Reshape"), ("MaxPooling2D", "Dropout")])
def test_integers_are_not_computed_in_float(tmp_path, kind, between):
    if "Flatten" in between and "Pooling" in kind:
        pytest.skip("pooling needs maps")
    layers, source = [image()], "image"
    for step in between:
        options = {"target_shape": [72]} if step == "Reshape" else {}
        layers.append(layer(step, step, source, **options))
        source = step
    layers.append(layer(kind, "l", source))
    path = write_h5(tmp_path / "m.h5", functional(layers), {"l": {}, **{s: {} for s in between}})
    with pytest.raises(IncompatibleModelError, match="l: its input is of type uint8"):
        load_model(path)
    layers.insert(1, layer("Rescaling", "r", "image", scale=1.0))
    layers[2]["inbound_nodes"] = [[["r", 0, 0, {}]]]
    path = write_h5(
        tmp_path / "m.h5", functional(layers), {"l": {}, "r": {}, **{s: {} for s in between}}
    )
    assert load_model(path).output == "l"


def test_truth_values_stored_as_numbers(tmp_path):
    norm = {key: kernel(2) + 1 for key in ("gamma", "moving_mean", "moving_variance")}
    graph = read(tmp_path, "BatchNormalization", norm, scale=1, center=0)
    assert graph.node("l").attrs["scale"] is True
    assert graph.node("l").attrs["center"] is False
    graph = read(tmp_path, "Dense", {"kernel": kernel(2, 3)}, units=3, use_bias=0)
    assert graph.node("l").attrs["use_bias"] is False
    assert read(tmp_path, "GlobalAveragePooling2D", keepdims=1).shapes["l"] == (1, 1, 2)


@pytest.mark.parametrize("kind", IDENTITIES)
def test_layers_without_effect_on_inference_are_left_out(tmp_path, kind):
    config = functional(
        [image(dtype="float32"), conv("c", "image"), layer(kind, "l", "c"), layer("ReLU", "r", "l")]
    )
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV, "l": {}, "r": {}}))
    assert [node.op for node in graph.nodes] == ["Input", "Conv2D", "ReLU"]
    assert texts(graph.notes) == (f"l: {kind} does nothing in inference; it is left out",)


ARRAY = {"class_name": "__numpy__", "config": {"value": [0.5, 2.0], "dtype": "float64"}}


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (ARRAY, [0.5, 2]),
        ([0.5, 2], [0.5, 2]),
        ([[[0.5, 2.0]]], [0.5, 2]),
        ([[[3]]], [3, 3]),
        ({"class_name": "__tensor__", "config": {"value": 3.0, "dtype": "float32"}}, [3, 3]),
    ],
)
def test_rescaling_by_arrays(tmp_path, scale, expected):
    graph = read(tmp_path, "Rescaling", scale=scale, offset=[1, -1])
    wanted = IMAGES * np.float32(expected) + np.float32([1, -1])
    np.testing.assert_allclose(forward(graph, IMAGES), wanted, rtol=1e-6)


@pytest.mark.parametrize("scale", [[[1.0], [2.0]], [], True, None, "x", [[1, 2], [3]], [1, 2, 3]])
def test_rescaling_by_other_than_one_number_per_channel(tmp_path, scale):
    with pytest.raises(IncompatibleModelError if scale != [1, 2, 3] else ValueError, match="l: "):
        read(tmp_path, "Rescaling", scale=scale)


@pytest.mark.parametrize("invert", [False, True, 1])
@pytest.mark.parametrize(
    ("mean", "variance", "axis"),
    [
        ([0.5, -1], [4, 0.25], -1),
        ([[[[0.5, -1]]]], [[[[4, 0.25]]]], [3]),
        (0.5, 4, None),
        (0.5, 4, -1),
        ([0.5, -1], [4, 0], [-1]),
    ],
)
def test_normalization(tmp_path, mean, variance, axis, invert):
    graph = read(tmp_path, "Normalization", mean=mean, variance=variance, axis=axis, invert=invert)
    mean, deviation = np.float32(mean).reshape(-1), np.float32(variance).reshape(-1) ** 0.5
    deviation = np.maximum(deviation, np.float32(1e-7))
    wanted = mean + IMAGES * deviation if invert else (IMAGES - mean) / deviation
    assert graph.nodes[-1].op == "Rescaling"
    np.testing.assert_allclose(forward(graph, IMAGES), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_adapted_normalization(tmp_path, suffix):
    mean, variance = np.float32([0.5, -1]), np.float32([4, 0.25])
    config = functional([image(dtype="float32"), layer("Normalization", "l", "image", axis=[-1])])
    if suffix == "h5":
        weights = {"mean": mean, "variance": variance, "count": np.int64(7)}
        path = write_h5(tmp_path / "m.h5", config, {"l": weights})
    else:
        stored = [mean, variance, np.int32(7)]
        path = write_keras(tmp_path / "m.keras", config, {"layers/normalization": stored})
    wanted = (IMAGES - mean) / variance**0.5
    np.testing.assert_allclose(forward(load_model(path), IMAGES), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"axis": 1, "mean": [1] * 6, "variance": [1] * 6}, "axis is 1; allowed: the last one"),
        ({"axis": [1, 2, 3], "mean": 0, "variance": 1}, "axis is"),
        ({"mean": 0, "variance": -1}, "its variance is negative"),
        ({}, "it has no mean"),
    ],
)
def test_normalization_that_cannot_be_read(tmp_path, config, match):
    with pytest.raises(IncompatibleModelError, match=f"l: {match}"):
        read(tmp_path, "Normalization", **config)


@pytest.mark.parametrize("group", ["prune_c", "c"])
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_pruned_layers_are_the_layers_inside(tmp_path, group, suffix):
    inner = {"class_name": "Conv2D", "config": conv("c", "image")["config"]}
    wrapper = layer("PruneLowMagnitude", "prune_c", "image", layer=inner, pruning_schedule={})
    config = functional([image(dtype="float32"), wrapper, layer("ReLU", "r", "prune_c")])
    if suffix == "h5":
        masks = {"mask": kernel(3, 3, 2, 3), "threshold": kernel(), "pruning_step": np.int64(3)}
        stored = {f"{group}/{key}:0": array for key, array in {**CONV, **masks}.items()}
        path = write_h5(tmp_path / "m.h5", config, {group: stored, "r": {}})
    else:
        where = "layers/prune_low_magnitude/layer"
        path = write_keras(tmp_path / "m.keras", config, {where: list(CONV.values())})
    graph = load_model(path)
    assert [node.op for node in graph.nodes] == ["Input", "Conv2D", "ReLU"]
    np.testing.assert_array_equal(graph.nodes[1].weights["kernel"], CONV["kernel"])


@pytest.mark.parametrize("before", [(), ("Dropout",), ("GaussianNoise", "ReLU")])
def test_a_dense_layer_knows_the_length_of_the_input(tmp_path, before):
    layers = [layer(kind, kind) for kind in before] + [layer("Dense", "d", units=3)]
    for entry in layers:
        del entry["inbound_nodes"], entry["name"]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = {"d": {"kernel": kernel(12, 3), "bias": kernel(3)}, **{kind: {} for kind in before}}
    graph = load_model(write_h5(tmp_path / "m.h5", config, weights))
    assert graph.input.attrs == {"shape": (12,), "dtype": "float32"}


@pytest.mark.parametrize("first", ["Conv2D", "Flatten"])
def test_a_file_without_a_shape_says_so(tmp_path, first):
    layers = [conv("c", "x") if first == "Conv2D" else layer("Flatten", "c")]
    layers.append(layer("Dense", "d", units=3))
    for entry in layers:
        del entry["inbound_nodes"], entry["name"]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = {"c": CONV, "d": {"kernel": kernel(12, 3), "bias": kernel(3)}}
    with pytest.raises(IncompatibleModelError, match="the file does not hold the model's input"):
        load_model(write_h5(tmp_path / "m.h5", config, weights))
