"""Import of float Keras files of versions 2 and 3."""

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.importers import load_model
from pipeline.models.wanted import Wanted
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


def ops(graph):
    return [node.op for node in graph.nodes]


def test_a_functional_model_with_slashes_in_its_names(tmp_path):
    config = functional(
        [
            image(),
            layer("Rescaling", "rescale", "image", scale=1 / 127.5, offset=-1),
            layer(
                "SeparableConv2D",
                "block/sep",
                "rescale",
                filters=4,
                kernel_size=[3, 3],
                groups=1,
                padding="same",
                use_bias=False,
                kernel_initializer={"class_name": "GlorotUniform", "config": {}},
            ),
            layer("BatchNormalization", "block/BN", "block/sep", axis=[3], epsilon=0.01),
            layer("ReLU", "block/relu", "block/BN", max_value=[6.0], negative_slope=None),
            layer("MaxPooling2D", "pool", "block/relu", pool_size=[2, 2], padding="valid"),
            layer("Flatten", "flat", "pool", data_format="channels_last"),
            layer("Dense", "head", "flat", units=2, activation="softmax"),
        ]
    )
    norm = {name: kernel(4) + 1 for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    path = write_h5(
        tmp_path / "m.h5",
        config,
        {
            "block/sep": {
                "depthwise_kernel": kernel(3, 3, 2, 1),
                "pointwise_kernel": kernel(1, 1, 2, 4),
            },
            "block/BN": norm,
            "head": {"kernel": kernel(36, 2), "bias": kernel(2)},
            **{name: {} for name in ("image", "rescale", "block/relu", "pool", "flat")},
        },
    )
    graph = load_model(path)
    assert ops(graph) == [
        *("Input", "Rescaling", "SeparableConv2D", "BatchNormalization", "ReLU"),
        *("MaxPooling2D", "Flatten", "Dense", "Softmax"),
    ]
    assert graph.input.attrs == {"shape": (6, 6, 2), "dtype": "uint8"}
    assert graph.node("rescale").attrs["offset"] == -1
    assert graph.node("block/sep").attrs["strides"] == (1, 1)
    assert graph.node("block/relu").attrs["max_value"] == 6.0
    assert graph.output == "head_activ"
    np.testing.assert_array_equal(graph.node("block/BN").weights["gamma"], norm["gamma"])


def test_a_sequential_model_without_an_input_layer(tmp_path):
    first = conv("c", "x", batch_input_shape=[None, 6, 6, 2])
    config = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [first, layer("LeakyReLU", "leaky", "c", alpha=0.1)]},
    }
    for entry in config["config"]["layers"]:
        del entry["inbound_nodes"], entry["name"]
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV, "leaky": {}}))
    assert ops(graph) == ["Input", "Conv2D", "LeakyReLU"]
    assert graph.node("leaky").attrs["negative_slope"] == 0.1


def test_open_sizes_are_given_by_the_user(tmp_path):
    for shape, example in ([None, None, 2], "224,224,2"), ([8, None, 2], "8,224,2"):
        config = functional([image("image", shape), conv("c", "image")])
        path = write_h5(tmp_path / "m.h5", config, {"c": CONV})
        with pytest.raises(ModelError, match=f"model.input_shape, for example {example}$"):
            load_model(path)
        graph = load_model(path, Wanted(input_shape=(8, 6, 2)))
        assert graph.input.attrs["shape"] == (8, 6, 2)


@pytest.mark.parametrize("first", [0, 1], ids=["keras3", "keras2"])
def test_shared_layers_and_nested_models_are_flattened(tmp_path, first):
    square = conv("shared", "image", filters=2)
    square["inbound_nodes"].append([["shared", 0, 0, {}]])
    inner = functional(
        [image("inner_in", dtype="float32"), conv("shared", "inner_in")], name="inner"
    )
    nested = {**inner, "name": "inner", "inbound_nodes": [[["plus", 0, 0, {}]]]}
    config = functional(
        [image(), square, layer("Add", "plus", "shared", ("shared", 1)), nested], output="inner"
    )
    # In Keras 2, building a nested model counts as its call 0.
    config["config"]["output_layers"] = [["inner", first, 0]]
    path = write_h5(
        tmp_path / "m.h5",
        config,
        {
            "shared": {"kernel": kernel(3, 3, 2, 2), "bias": kernel(2)},
            "inner": {f"shared/{name}:0": array for name, array in CONV.items()},
            "plus": {},
        },
    )
    graph = load_model(path)
    assert [(node.name, node.inputs) for node in graph.nodes] == [
        ("image", ()),
        ("shared", ("image",)),
        ("shared_1", ("shared",)),
        ("plus", ("shared", "shared_1")),
        ("inner/shared", ("plus",)),
    ]
    assert graph.node("inner/shared").weights["kernel"].shape == (3, 3, 2, 3)
    np.testing.assert_array_equal(
        graph.node("shared").weights["kernel"], graph.node("shared_1").weights["kernel"]
    )


def test_a_keras_archive(tmp_path):
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    entry = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"name": "x", "batch_shape": [None, 6, 6, 2], "dtype": "float32"},
        "name": "x",
        "inbound_nodes": [],
    }
    second = conv("c", "x", activation="relu")
    second["inbound_nodes"] = [{"args": [tensor], "kwargs": {}}]
    second["config"]["dtype"] = {"class_name": "DTypePolicy", "config": {"name": "float32"}}
    config = functional([entry, second])
    config["config"]["input_layers"] = ["x", 0, 0]
    config["config"]["output_layers"] = ["c", 0, 0]
    path = write_keras(tmp_path / "m.keras", config, {"layers/conv2d": list(CONV.values())})
    graph = load_model(path)
    assert ops(graph) == ["Input", "Conv2D", "ReLU"]
    np.testing.assert_array_equal(graph.node("c").weights["bias"], CONV["bias"])


def test_all_refusals_come_at_once(tmp_path):
    plus = layer("TFOpLambda", "multiply", "act", function="math.cumsum")
    config = functional(
        [
            image(),
            conv("first", "image"),
            layer("Lambda", "code", "first", function=["4wEAAAA=", None, None]),
            layer("LSTM", "recurrent", "code"),
            layer("Activation", "act", "recurrent", activation="softplus"),
            plus,
            conv("half", "multiply", dtype="float16"),
        ]
    )
    config["config"]["layers"][1]["config"]["dilation_rate"] = [0, 1]
    with pytest.raises(IncompatibleModelError) as caught:
        load_model(write_h5(tmp_path / "m.h5", config, {"first": CONV, "half": CONV}))
    text = "\n".join(caught.value.reasons)
    for start in ("first: dilation", "code: Lambda", "recurrent: LSTM"):
        assert start in text
    for start in ("act: activation 'softplus'", "multiply: the function", "half:"):
        assert start in text


def test_batch_norm_is_over_channels(tmp_path):
    config = functional([image(), layer("BatchNormalization", "rows", "image", axis=[2])])
    norm = {name: kernel(6) for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    with pytest.raises(IncompatibleModelError, match="rows: axis is 2; allowed: the last"):
        load_model(write_h5(tmp_path / "m.h5", config, {"rows": norm}))


def test_wrong_weights_are_named(tmp_path):
    config = functional([image(), conv("a", "image"), conv("b", "a")])
    weights = {"a": {"kernel": kernel(3, 3, 9, 3), "bias": kernel(3)}, "b": {"kernel": kernel(1)}}
    with pytest.raises(IncompatibleModelError) as caught:
        load_model(write_h5(tmp_path / "m.h5", config, weights))
    assert [reason.split(" (")[0] for reason in caught.value.reasons] == [
        "a: Conv2D has kernel",
        "b: Conv2D has bias missing, expected",
        "b: Conv2D has kernel",
    ]


def test_one_input(tmp_path):
    both = layer("Concatenate", "both", "c", "second", axis=-1)
    config = functional([image(), image("second", (6, 6, 3)), conv("c", "image"), both])
    config["config"]["input_layers"].append(["second", 0, 0])
    with pytest.raises(ModelError, match=r"found 2 inputs \(image, second\)"):
        load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV}))
