from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.transforms.gap.gap_after_relu import gap_after_relu


def options(strategy, recalibrate="none"):
    return SimpleNamespace(gap=SimpleNamespace(strategy=strategy, recalibrate=recalibrate))


def model(*layers, shape=(6, 6, 2)):
    layers = ({"Rescaling": {"scale": "1/64", "offset": -2}}, *layers)
    return randomised(
        build_graph({"name": "net", "input": {"shape": list(shape)}, "layers": layers})
    )


def randomised(graph):
    """Give every weight a value with which mistakes change the output."""
    rng = np.random.default_rng(0)

    def draw(key, array):
        if key == "moving_variance":
            return rng.uniform(0.1, 2, array.shape).astype(np.float32)
        if key.endswith("kernel"):
            return array
        return rng.normal(size=array.shape).astype(np.float32)

    return graph.with_nodes(
        node.with_weights(**{key: draw(key, array) for key, array in node.weights.items()})
        for node in graph.nodes
    )


def images(graph):
    shape = (8, *graph.input.attrs["shape"])
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def outputs(graph):
    return forward(graph, images(graph))


def chain(graph):
    return [node.name for node in graph.nodes[2:]]


CONV = {"name": "c", "filters": 4, "kernel_size": 3}
BLOCK = {**CONV, "pooling": "global_avg", "add_batchnorm": True, "relu_activation": "ReLU6"}
HEAD = {"Dense": {"units": 3}}


def check_exact(graph, channels=4):
    before = chain(graph)
    result = gap_after_relu(graph)
    new = result.graph
    assert result.equivalent
    assert chain(graph) == before
    assert new.shapes[new.output] == graph.shapes[graph.output]
    assert new.parameters == graph.parameters + channels**2 * len(result.changed)
    # Float32 rounding of reordered sums.
    np.testing.assert_allclose(outputs(new), outputs(graph), rtol=1e-4, atol=1e-5)
    for name in result.changed:
        pooling = new.node(name)
        assert {reader.op for reader in new.consumers(pooling)} <= {"Dense", "Conv2D"}
    return new


@pytest.mark.parametrize("block", ["conv_block", "separable_conv_block"])
def test_exact_puts_an_identity_before_the_activation(block):
    new = check_exact(model({block: BLOCK}, HEAD))
    assert chain(new) == ["c", "c/BN", "c/global_avg", "c/global_avg/identity", "c/relu", "dense"]
    identity = new.node("c/global_avg/identity")
    assert identity.op == "Dense"
    np.testing.assert_array_equal(identity.weights["kernel"], np.eye(4))


def test_exact_without_batchnorm():
    new = check_exact(model({"conv_block": {**BLOCK, "add_batchnorm": False}}, HEAD))
    assert chain(new) == ["c", "c/global_avg", "c/global_avg/identity", "c/relu", "dense"]


def test_exact_if_the_activation_is_the_output():
    new = check_exact(model({"conv_block": BLOCK}))
    assert new.output == "c/relu"


def test_exact_is_a_convolution_if_the_pooling_keeps_its_dimensions():
    new = check_exact(
        model(
            {"Conv2D": CONV},
            {"GlobalAveragePooling2D": {"name": "gap", "keepdims": True}},
            {"BatchNormalization": {"name": "BN"}},
            {"ReLU": {}},
            {"Conv2D": {"name": "head", "filters": 3, "kernel_size": 1}},
        )
    )
    assert chain(new) == ["c", "BN", "gap", "gap_identity", "re_lu", "head"]
    assert new.node("gap_identity").op == "Conv2D"
    assert new.node("gap_identity").attrs["kernel_size"] == (1, 1)


@pytest.mark.parametrize(
    "activation",
    [{"ReLU": {}}, {"LeakyReLU": {}}, {"PReLU": {}}, {"Activation": {"activation": "tanh"}}],
)
def test_exact_for_every_activation(activation):
    gap = {"GlobalAveragePooling2D": {}}
    check_exact(model({"Conv2D": CONV}, gap, "BatchNormalization", activation, HEAD))


def test_batchnorm_stays_after_the_identity_if_no_layer_can_absorb_it():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    new = check_exact(
        model({"Conv2D": CONV}, "MaxPooling2D", gap, {"BatchNormalization": {"name": "BN"}}, "ReLU")
    )
    assert chain(new) == ["c", "max_pooling2d", "gap", "gap_identity", "BN", "re_lu"]


def test_batchnorm_axis_follows_to_the_map():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    new = check_exact(
        model({"Conv2D": CONV}, gap, {"BatchNormalization": {"name": "BN", "axis": 1}}, "ReLU")
    )
    assert new.node("BN").attrs["axis"] == -1


def test_dropout_and_reshape_between_are_passed():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    reshape = {"Reshape": {"target_shape": [1, 1, 4]}}
    new = check_exact(model({"Conv2D": CONV}, gap, "Dropout", reshape, "ReLU", "Flatten", HEAD))
    assert chain(new)[1:4] == ["gap", "gap_identity", "dropout"]


def test_every_consumer_of_the_pooling_reads_the_identity():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    new = check_exact(
        model(
            {"Conv2D": CONV},
            gap,
            {"ReLU": {"name": "r"}},
            {"Dense": {"name": "d", "units": 4, "input": "gap"}},
            {"Add": {"inputs": ["r", "d"]}},
        )
    )
    assert new.node("r").inputs == new.node("d").inputs == ("gap_identity",)


@pytest.mark.parametrize(
    "layers",
    [
        [{"conv_block": {**BLOCK, "post_relu_gap": True}}, HEAD],
        [{"conv_block": {**BLOCK, "relu_activation": False}}, HEAD],
        [{"conv_block": {**BLOCK, "relu_activation": False}}, "Softmax"],
        [
            {"conv_block": {**BLOCK, "relu_activation": False}},
            {"Activation": {"activation": "sigmoid"}},
        ],
        ["Flatten", {"dense_block": {"units": 3}}],
    ],
    ids=["already behind", "no activation", "softmax", "sigmoid output", "no pooling"],
)
def test_layers_in_the_right_order_are_unchanged(layers):
    graph = model(*layers)
    for strategy in ("exact", "relocate"):
        result = gap_after_relu(graph, options(strategy))
        assert result.changed == ()
        assert result.equivalent
        assert chain(result.graph) == chain(graph)


@pytest.mark.parametrize("strategy", ["exact", "relocate"])
def test_idempotent(strategy):
    once = gap_after_relu(model({"conv_block": BLOCK}, HEAD), options(strategy)).graph
    again = gap_after_relu(once, options(strategy))
    assert again.changed == ()
    assert chain(again.graph) == chain(once)


def test_relocate_moves_the_pooling_and_keeps_the_weights():
    graph = model({"conv_block": BLOCK}, HEAD)
    result = gap_after_relu(graph, options("relocate"))
    assert not result.equivalent
    assert result.changed == ("c/global_avg",)
    assert chain(result.graph) == ["c", "c/BN", "c/relu", "c/global_avg", "dense"]
    assert result.graph.parameters == graph.parameters
    assert result.graph.shapes["dense"] == (3,)
    assert np.abs(outputs(result.graph) - outputs(graph)).max() > 1e-3


def test_relocate_is_what_the_2_0_block_builds():
    graph = model({"conv_block": BLOCK}, HEAD)
    native = model({"conv_block": {**BLOCK, "post_relu_gap": True}}, HEAD)
    moved = gap_after_relu(graph, options("relocate")).graph
    assert chain(moved) == chain(native)
    weights = {node.name: node.weights for node in graph.nodes}
    native = native.with_nodes(n.with_weights(**weights[n.name]) for n in native.nodes)
    np.testing.assert_array_equal(outputs(moved), outputs(native))


def test_relocate_shares_prelu_slopes_over_the_map():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    moved = gap_after_relu(
        model({"Conv2D": CONV}, gap, {"PReLU": {"name": "p"}}, HEAD), options("relocate")
    ).graph
    assert moved.node("p").weights["alpha"].shape == (1, 1, 4)
    assert outputs(moved).shape == (8, 3)


def test_relocate_refuses_what_it_cannot_move():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    branch = model(
        {"Conv2D": CONV},
        gap,
        {"ReLU": {"name": "r"}},
        {"Add": {"inputs": ["r", "gap"]}},
    )
    with pytest.raises(IncompatibleModelError, match="gap: is read by several layers"):
        gap_after_relu(branch, options("relocate"))
    reshaped = model({"Conv2D": CONV}, gap, {"Reshape": {"target_shape": [2, 2]}}, "ReLU")
    with pytest.raises(IncompatibleModelError, match="changes the 4 channels"):
        gap_after_relu(reshaped, options("relocate"))
    check_exact(branch)
    check_exact(reshaped)


def test_large_maps_and_wide_layers_are_refused_together():
    graph = build_graph(
        {
            "name": "net",
            "input": {"shape": [12, 13, 1]},
            "layers": [{"conv_block": {**BLOCK, "kernel_size": 1, "filters": 2049}}],
        }
    )
    with pytest.raises(IncompatibleModelError) as caught:
        gap_after_relu(graph)
    text = str(caught.value)
    assert "2 reasons" in text
    assert "12x13 = 156 pixels; allowed: at most 144 on Akida 2.0" in text
    assert "2049 channels into the identity layer" in text


def test_unknown_strategy_is_refused():
    with pytest.raises(ConfigError, match="'move'; allowed: exact, relocate, distill, finetune"):
        gap_after_relu(model({"conv_block": BLOCK}), options("move"))
    with pytest.raises(ConfigError, match=r"gap\.recalibrate: found 'all'; allowed: none, bn,"):
        gap_after_relu(model({"conv_block": BLOCK}), options("relocate", "all"))
