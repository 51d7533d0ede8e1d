from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph, keras_name
from pipeline.graph.architecture_file import zoo_names
from pipeline.graph.describe import describe, non_trainable
from pipeline.graph.macs import count_macs

CONF = Path(__file__).parents[3] / "conf" / "model"


def model(*layers, shape=(8, 8, 1), **input_options):
    return {"name": "net", "input": {"shape": list(shape), **input_options}, "layers": layers}


def names(graph):
    return [node.name for node in graph.nodes]


def load(name):
    return build_graph(yaml.safe_load((CONF / f"{name}.yaml").read_text()))


def test_tutorial_model_is_the_tutorials():
    graph = load("tutorial_cnn")
    table = [(n.name, n.op, graph.shapes[n.name], n.parameters) for n in graph.nodes[1:]]
    assert table == [
        ("conv2d", "Conv2D", (16, 16, 32), 896),
        ("batch_normalization", "BatchNormalization", (16, 16, 32), 128),
        ("re_lu", "ReLU", (16, 16, 32), 0),
        ("flatten", "Flatten", (8192,), 0),
        ("dense", "Dense", (10,), 81930),
    ]
    text = describe(graph)
    assert "Total params: 82954 (324.04 KB)" in text
    assert "Trainable params: 82890 (323.79 KB)" in text
    assert "Non-trainable params: 64 (256.00 Byte)" in text
    assert "[(None, 32, 32, 3)]" in text


def test_default_model_is_in_the_order_of_akida_1():
    graph = load("separable_cnn")
    assert graph.parameters == 4234
    assert names(graph)[-5:] == [
        "separable_2",
        "separable_2/global_avg",
        "separable_2/BN",
        "separable_2/relu",
        "dense",
    ]
    assert graph.node("separable_2/relu").attrs["max_value"] == 6.0


def test_every_shipped_model_builds():
    for name in zoo_names():
        graph = load(name)
        assert graph.parameters > 0
        assert describe(graph)


BLOCK = {"filters": 4, "kernel_size": 3}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"name": "c", "relu_activation": False}, ["c"]),
        ({"name": "c"}, ["c", "c/relu"]),
        ({"name": "c", "pooling": "max"}, ["c", "c/maxpool", "c/relu"]),
        (
            {"name": "c", "pooling": "global_avg", "add_batchnorm": True},
            ["c", "c/global_avg", "c/BN", "c/relu"],
        ),
        (
            {"name": "c", "pooling": "global_avg", "add_batchnorm": True, "post_relu_gap": True},
            ["c", "c/BN", "c/relu", "c/global_avg"],
        ),
        (
            {"name": "c", "pooling": "max", "add_batchnorm": True, "post_relu_gap": True},
            ["c", "c/maxpool", "c/BN", "c/relu"],
        ),
    ],
)
def test_conv_block_order_and_names(block, expected):
    graph = build_graph(model({"conv_block": {**BLOCK, **block}}))
    assert names(graph)[1:] == expected


def test_conv_block_defaults_are_those_of_akida_models():
    graph = build_graph(model({"conv_block": {**BLOCK, "name": "c", "pooling": "max"}}))
    assert graph.node("c").attrs["padding"] == "valid"
    assert graph.node("c").attrs["use_bias"] is True
    assert graph.node("c/maxpool").attrs["pool_size"] == (2, 2)
    assert graph.node("c/maxpool").attrs["padding"] == "valid"
    assert graph.node("c/relu").attrs["max_value"] == 3.75


def test_pooling_takes_the_padding_of_its_convolution():
    block = {**BLOCK, "name": "c", "pooling": "max", "padding": "same"}
    graph = build_graph(model({"conv_block": block}, shape=(7, 7, 1)))
    assert graph.shapes["c/maxpool"] == (4, 4, 4)


def test_separable_block_fused_and_unfused():
    options = {**BLOCK, "name": "s", "add_batchnorm": True, "pooling": "max", "use_bias": False}
    fused = build_graph(model({"separable_conv_block": options}))
    unfused = build_graph(model({"separable_conv_block": {**options, "fused": False}}))
    assert names(fused)[1:] == ["s", "s/maxpool", "s/BN", "s/relu"]
    assert names(unfused)[1:] == ["dw_s", "pw_s", "pw_s/maxpool", "pw_s/BN", "pw_s/relu"]
    assert unfused.node("dw_s").attrs["use_bias"] is False
    assert fused.parameters == unfused.parameters
    assert fused.shapes[fused.output] == unfused.shapes[unfused.output]
    assert sum(count_macs(fused).values()) == sum(count_macs(unfused).values())


def test_dense_block():
    graph = build_graph(
        model("Flatten", {"dense_block": {"name": "d", "units": 5, "add_batchnorm": True}})
    )
    assert names(graph)[1:] == ["flatten", "d", "d/BN", "d/relu"]


@pytest.mark.parametrize(
    ("value", "limit"), [("ReLU", None), ("ReLU6", 6.0), ("ReLU3.75", 3.75), ("ReLU7.5", 7.5)]
)
def test_relu_activation(value, limit):
    graph = build_graph(model({"conv_block": {**BLOCK, "name": "c", "relu_activation": value}}))
    assert graph.node("c/relu").attrs["max_value"] == limit


def ds_cnn(fused):
    common = {"use_bias": False, "padding": "same", "add_batchnorm": True}
    separable = {**common, "filters": 64, "kernel_size": 3, "fused": fused}
    return model(
        {"Rescaling": {"scale": "1/255"}},
        {"conv_block": {**common, "name": "c", "filters": 64, "kernel_size": 5, "strides": 2}},
        *({"separable_conv_block": {**separable, "name": f"s{i}"}} for i in range(3)),
        {"separable_conv_block": {**separable, "name": "s3", "pooling": "global_avg"}},
        {"dense_block": {"name": "d", "units": 33, "relu_activation": False}},
        "Softmax",
        shape=(49, 10, 1),
    )


@pytest.mark.parametrize("fused", [True, False])
def test_ds_cnn_has_the_published_size(fused):
    graph = build_graph(ds_cnn(fused))
    assert graph.parameters == 23713
    assert graph.parameters - non_trainable(graph) == 23073
    assert round(sum(count_macs(graph).values()) / 1e6, 3) == 2.538


def test_gxnor_has_the_published_size():
    common = {"padding": "same", "add_batchnorm": True}
    graph = build_graph(
        model(
            {"Rescaling": {"scale": "1/255"}},
            {"conv_block": {**common, "filters": 32, "kernel_size": 5, "pooling": "max"}},
            {"conv_block": {**common, "filters": 64, "kernel_size": 3, "strides": 2}},
            {"conv_block": {**common, "filters": 128, "kernel_size": 3, "pooling": "global_avg"}},
            {"dense_block": {"units": 512, "add_batchnorm": True, "relu_activation": "ReLU2"}},
            {"dense_block": {"units": 10, "add_batchnorm": True, "relu_activation": False}},
            shape=(28, 28, 1),
        )
    )
    assert (graph.parameters, non_trainable(graph)) == (167346, 1492)
    assert round(sum(count_macs(graph).values()) / 1e6, 3) == 5.214


def test_inputs_name_other_layers_and_snake_case_works():
    graph = build_graph(
        model(
            {"conv2d": {"name": "a", "filters": 2, "kernel_size": 1}},
            {"Conv2D": {"name": "b", "filters": 2, "kernel_size": 1, "input": "input"}},
            {"add": {"inputs": ["a", "b"]}},
            {"global_average_pooling2d": {"keepdims": True}},
        )
    )
    assert graph.node("b").inputs == ("input",)
    assert graph.node("add").inputs == ("a", "b")
    assert graph.shapes[graph.output] == (1, 1, 2)


def test_default_names_count_like_keras():
    assert keras_name("BatchNormalization") == "batch_normalization"
    assert keras_name("Conv2DTranspose") == "conv2d_transpose"
    assert keras_name("LeakyReLU") == "leaky_re_lu"
    layer = {"Conv2D": {"filters": 1, "kernel_size": 1}}
    assert names(build_graph(model(layer, "ReLU", layer, "ReLU")))[1:] == [
        "conv2d",
        "re_lu",
        "conv2d_1",
        "re_lu_1",
    ]


def test_weights_depend_on_seed_and_name_only():
    layers = [{"Conv2D": {"name": "a", **BLOCK}}, {"Conv2D": {"name": "b", **BLOCK}}]
    first, again = build_graph(model(*layers), seed=1), build_graph(model(*layers), seed=1)
    other = build_graph(model(*layers), seed=2)
    alone = build_graph(model(layers[0]), seed=1)
    np.testing.assert_array_equal(
        first.node("b").weights["kernel"], again.node("b").weights["kernel"]
    )
    np.testing.assert_array_equal(
        first.node("a").weights["kernel"], alone.node("a").weights["kernel"]
    )
    assert np.any(first.node("a").weights["kernel"] != other.node("a").weights["kernel"])
    kernel = first.node("b").weights["kernel"]
    assert kernel.dtype == np.float32
    # Glorot: the limit is sqrt(6 / (fan_in + fan_out)) with 3x3 pixels of 4 channels each.
    assert np.abs(kernel).max() <= np.sqrt(6 / 72)


def test_numbers_may_be_fractions():
    graph = build_graph(model({"Rescaling": {"scale": "1/255"}}))
    assert graph.node("rescaling").attrs["scale"] == 1 / 255


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"conv_blok": {}}, "did you mean 'conv_block'"),
        ({"Conv3D": {}}, "not known"),
        ({"Input": {}}, "the input is not a layer"),
        ({"conv_block": {"kernel_size": 3}}, "needs the option 'filters'"),
        ({"conv_block": {**BLOCK, "dilation_rate": 2}}, "no option 'dilation_rate'; allowed: name"),
        ({"conv_block": {**BLOCK, "pooling": "avg"}}, "'avg'; allowed: max, global_avg, null"),
        ({"conv_block": {**BLOCK, "relu_activation": "relu6"}}, "'relu6'; allowed: 'ReLU'"),
        ({"conv_block": {**BLOCK, "relu_activation": "ReLU0"}}, "'ReLU0'; allowed"),
        ({"conv_block": {**BLOCK, "relu_activation": True}}, "True; allowed"),
        ({"conv_block": {**BLOCK, "add_batchnorm": "yes"}}, "'yes'; allowed: true, false"),
        ({"separable_conv_block": {**BLOCK, "fused": 1}}, "fused is 1; allowed: true, false"),
        ({"conv_block": {**BLOCK, "padding": "causal"}}, "'causal'; allowed: same, valid"),
        ({"Conv2D": {"filters": 0, "kernel_size": 3}}, "filters is 0; allowed: a whole number"),
        ({"Conv2D": {"filters": 2.5, "kernel_size": 3}}, "filters is 2.5"),
        ({"Conv2D": {"filters": 2, "kernel_size": "3"}}, "kernel_size is '3'"),
        ({"Conv2D": {"filters": 2, "kernel_size": [3, 3, 3]}}, r"kernel_size is \[3, 3, 3\]"),
        ({"Conv2D": {"filters": 2}}, "needs the attribute 'kernel_size'"),
        ({"Conv2D": {**BLOCK, "padding_value": 1}}, "crossgrade sets it"),
        ({"Dense": {"units": 2, "activation": "relu"}}, "add the activation as a layer"),
        ({"Dense": {"units": 2, "use_bias": "no"}}, "use_bias is 'no'; allowed: true, false"),
        ({"ReLU": {"max_value": "six"}}, "max_value is 'six'; allowed: a number"),
        ({"ReLU": {"max_value": -1}}, "max_value is -1; allowed: a number above 0"),
        ({"Rescaling": {"scale": "1/0"}}, "scale is '1/0'"),
        ({"Flatten": {"input": "nowhere"}}, "'nowhere' is not the name of an earlier layer"),
        ({"Flatten": {"input": "input", "inputs": ["input"]}}, "both 'input' and 'inputs'"),
        ({"Flatten": {"name": "input"}}, "'input' is taken"),
        ({"Flatten": {"name": 3}}, "name is 3; give a text"),
        ({"Flatten": ["x"]}, "give 'key: value' pairs"),
        ({"Add": {}}, "takes two or more inputs, found 1"),
        ({"a": {}, "b": {}}, "one layer per entry"),
        ({"Conv2D": {"filters": 2, "kernel_size": 9}}, "does not fit its input"),
    ],
)
def test_wrong_layers_are_refused(layer, message):
    with pytest.raises(ModelError, match=message) as caught:
        build_graph(model(layer))
    assert str(caught.value).startswith("model net: ")


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"layers": ["Flatten"]}, "input.shape: found None"),
        ({"input": {"shape": [8, 0, 1]}, "layers": ["Flatten"]}, r"input.shape: found \[8, 0, 1\]"),
        ({"input": {"shape": [8], "dtype": "int32"}, "layers": ["Flatten"]}, "'int32'; allowed:"),
        ({"input": {"shape": [8], "typ": 1}, "layers": ["Flatten"]}, "input.typ: no such key"),
        ({"input": [8], "layers": ["Flatten"]}, r"input: found \[8\]"),
        ({"input": {"shape": [8]}}, "layers: found none"),
        ({"input": {"shape": [8]}, "layers": {"Flatten": {}}}, "layers: found none"),
    ],
)
def test_wrong_descriptions_are_refused(description, message):
    with pytest.raises(ModelError, match=message):
        build_graph(description)


def test_all_problems_are_named_at_once():
    with pytest.raises(ModelError) as caught:
        build_graph(model({"conv_blok": {}}, {"Dense": {"units": -1}}, {"ReLU": {"max": 6}}))
    text = str(caught.value)
    assert "3 problems" in text
    assert all(f"layers[{number}]" in text for number in range(3))


def test_a_layer_without_consumers_is_refused():
    with pytest.raises(ModelError, match="a: it has no consumer"):
        build_graph(model({"ReLU": {"name": "a"}}, {"Flatten": {"input": "input"}}))
