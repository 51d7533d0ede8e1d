"""Each pass removes its pattern, preserves outputs, is idempotent, and keeps its input graph."""

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.preparation import (
    PASSES,
    align_rescaling,
    batchnorm_before_pool,
    fold_batchnorm,
    grouped_to_depthwise,
    identity_after_image_block,
    identity_after_joins,
    identity_before_relu_gap,
    identity_for_equal_inputs,
    identity_for_many_consumers,
    leaky_to_table,
    max_pool_before_activation,
    odd_kernels,
    remove_dropout,
    remove_dropout_before_batchnorm,
    remove_reshapes,
    split_activations,
    split_joins,
    split_strided_depthwise,
)
from pipeline.preparation.verification import random_images, verified
from tests.pipeline.graph.chains import chain

CONV = {"filters": 4, "kernel_size": 3, "padding": "same"}
RELU = ("ReLU", {"max_value": 6.0})
BN = ("BatchNormalization", {})
POOL = ("MaxPooling2D", {})
GAP = ("GlobalAveragePooling2D", {})
DW = {"kernel_size": 3, "padding": "same"}


def ops(graph):
    return [node.op for node in graph.nodes[1:]]


def positive(graph):
    """Make the gammas of all batch norms positive."""
    return graph.with_nodes(
        node.with_weights(gamma=np.abs(node.weights["gamma"]) + np.float32(0.1))
        if "gamma" in node.weights
        else node
        for node in graph.nodes
    )


def image(shape, *layers, **options):
    return chain(shape, *layers, dtype="uint8", **options)


def branched(*drafts, shape=(6, 6, 2), output=None):
    """Return a graph of (name, op, inputs, attrs) with a convolution ``c`` after the input."""
    graph = image(shape, ("Conv2D", CONV))
    nodes = [graph.input, graph.nodes[1]]
    for name, op, inputs, *attrs in drafts:
        attrs = attrs[0] if attrs else {}
        weights = {}
        if op == "Conv2D":
            partial = Graph("m", nodes, nodes[-1].name)
            size = (3, 3, partial.shapes[inputs[0]][-1], attrs["filters"])
            weights = {"kernel": np.random.default_rng(1).normal(size=size), "bias": np.zeros(4)}
        nodes.append(make_node(name, op, inputs, attrs, weights))
    return Graph("m", nodes, output or nodes[-1].name)


CASES = {
    "relu": (
        split_activations,
        image((4, 4, 1), ("Activation", {"activation": "relu6"})),
        ["ReLU"],
    ),
    "linear": (
        split_activations,
        image((4, 4, 1), ("Activation", {"activation": "linear"}), ("Flatten", {})),
        ["Flatten"],
    ),
    "linear at the end": (
        split_activations,
        image((4, 4, 1), ("Flatten", {}), ("Activation", {"activation": "linear"})),
        ["Flatten"],
    ),
    "leaky": (leaky_to_table, chain((4, 4, 1), ("LeakyReLU", {})), ["Activation"]),
    "sloped relu": (leaky_to_table, chain((4,), ("ReLU", {"negative_slope": 0.1})), ["Activation"]),
    "dropout before bn": (
        remove_dropout_before_batchnorm,
        image((4, 4, 1), ("Dropout", {}), ("Dropout", {}), BN, ("Dropout", {})),
        ["BatchNormalization", "Dropout"],
    ),
    "dropout": (remove_dropout, image((4,), ("Dropout", {}), ("Dense", {"units": 2})), ["Dense"]),
    "grouped": (
        grouped_to_depthwise,
        image((5, 5, 4), ("Conv2D", {**CONV, "groups": 4, "strides": 2})),
        ["DepthwiseConv2D"],
    ),
    "reshapes": (
        remove_reshapes,
        image((4, 4, 2), ("Flatten", {}), ("Reshape", {"target_shape": (-1, 8)}), ("Flatten", {})),
        ["Flatten"],
    ),
    "relu > max pool": (
        max_pool_before_activation,
        image((6, 6, 2), ("Conv2D", CONV), RELU, POOL),
        ["Conv2D", "MaxPooling2D", "ReLU"],
    ),
    "leaky > max pool": (
        max_pool_before_activation,
        image(
            (6, 6, 2),
            ("Activation", {"activation": "leaky_relu", "alpha": 0.2}),
            ("MaxPooling2D", {"padding": "same", "pool_size": 3, "strides": 2}),
            ("Flatten", {}),
        ),
        ["MaxPooling2D", "Activation", "Flatten"],
    ),
    "max pool > bn": (
        batchnorm_before_pool,
        positive(image((6, 6, 2), ("Conv2D", CONV), POOL, BN)),
        ["Conv2D", "BatchNormalization", "MaxPooling2D"],
    ),
    "gap > bn": (
        batchnorm_before_pool,
        image((6, 6, 2), ("Conv2D", CONV), GAP, BN),
        ["Conv2D", "BatchNormalization", "GlobalAveragePooling2D"],
    ),
    **{
        f"fold into {op} {attrs}": (
            fold_batchnorm,
            image((6, 6, 2), (op, attrs), BN, BN, RELU),
            [op, "ReLU"],
        )
        for op, attrs in (
            ("Conv2D", CONV),
            ("Conv2D", {**CONV, "use_bias": False}),
            ("DepthwiseConv2D", {**DW, "depth_multiplier": 2}),
            ("SeparableConv2D", {**CONV, "depth_multiplier": 2}),
            ("Conv2DTranspose", {**CONV, "strides": 2}),
            ("DepthwiseConv2DTranspose", {"kernel_size": 3}),
            ("Dense", {"units": 3}),
            ("BufferTempConv", {"filters": 3, "fifo_size": 2}),
            ("DepthwiseBufferTempConv", {"fifo_size": 3}),
        )
    },
    "fold at the end": (
        fold_batchnorm,
        image((8,), ("Dense", {"units": 3, "use_bias": False}), BN),
        ["Dense"],
    ),
    "fold without gamma and beta": (
        fold_batchnorm,
        image((8,), ("Dense", {"units": 3}), (BN[0], {"center": False, "scale": False})),
        ["Dense"],
    ),
    "strided 5x5": (
        split_strided_depthwise,
        image((7, 8, 2), ("DepthwiseConv2D", {**DW, "kernel_size": 5, "strides": 2})),
        ["DepthwiseConv2D", "DepthwiseConv2D"],
    ),
    "strided 7x7": (
        split_strided_depthwise,
        image((8, 7, 2), ("DepthwiseConv2D", {**DW, "kernel_size": 7, "strides": 2}), RELU),
        ["DepthwiseConv2D", "DepthwiseConv2D", "ReLU"],
    ),
    "long concatenate": (
        split_joins,
        branched(("r", *RELU[:1], ["n0"]), ("cat", "Concatenate", ["n0", "r", "n0", "r"])),
        ["Conv2D", "ReLU", "Concatenate", "Concatenate", "Concatenate"],
    ),
    "long add": (
        split_joins,
        branched(("r", *RELU[:1], ["n0"]), ("a", "Add", ["n0", "r", "n0"]), ("s", "ReLU", ["a"])),
        ["Conv2D", "ReLU", "Add", "Add", "ReLU"],
    ),
    "add > relu > gap": (
        identity_before_relu_gap,
        branched(
            ("r", "ReLU", ["n0"]),
            ("a", "Add", ["n0", "r"]),
            ("s", "ReLU", ["a"]),
            ("g", *GAP[:1], "s"),
        ),
        ["Conv2D", "ReLU", "Add", "Conv2D", "ReLU", "GlobalAveragePooling2D"],
    ),
    "join at the end": (
        identity_after_joins,
        branched(("r", "ReLU", ["n0"]), ("a", "Add", ["n0", "r"])),
        ["Conv2D", "ReLU", "Add", "Conv2D"],
    ),
    "join of joins": (
        identity_after_joins,
        branched(
            ("r", "ReLU", ["n0"]),
            ("a", "Add", ["n0", "r"]),
            ("k", "Concatenate", ["a", "r"]),
            ("c", "Conv2D", ["k"], {**CONV}),
        ),
        ["Conv2D", "ReLU", "Add", "Conv2D", "Concatenate", "Conv2D"],
    ),
    "image block": (
        identity_after_image_block,
        branched(
            ("r", "ReLU", ["n0"]),
            ("c", "Conv2D", ["r"], CONV),
            ("a", "Add", ["r", "c"]),
            shape=(6, 6, 3),
        ),
        ["Conv2D", "ReLU", "Conv2D", "Conv2D", "Add"],
    ),
    "equal inputs": (
        identity_for_equal_inputs,
        branched(("a", "Add", ["n0", "n0"])),
        ["Conv2D", "Conv2D", "Add"],
    ),
    "four readers": (
        identity_for_many_consumers,
        branched(
            *((f"r{i}", "ReLU", ["n0"], {"max_value": i + 1.0}) for i in range(4)),
            ("a", "Add", ["r0", "r1"]),
            ("b", "Add", ["r2", "r3"]),
            ("z", "Concatenate", ["a", "b"]),
        ),
        ["Conv2D", "Conv2D", "Conv2D", *["ReLU"] * 4, "Add", "Add", "Concatenate"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_pass(case):
    change, graph, expected = CASES[case]
    before = ops(graph), graph.output
    after = verified(change, graph, random_images(graph))
    assert ops(after) == expected
    assert change(after) is after
    assert (ops(graph), graph.output) == before


@pytest.mark.parametrize("change", dict.fromkeys(PASSES))
def test_nothing_to_do_returns_the_graph_itself(change):
    graph = image((6, 6, 2), ("Conv2D", CONV), RELU, GAP, ("Dense", {"units": 2}))
    assert change(graph) is graph


def test_prelu_with_equal_slopes_becomes_leaky():
    graph = chain((2, 2, 3), ("PReLU", {}))
    assert leaky_to_table(graph) is graph
    equal = graph.nodes[-1].with_weights(alpha=np.full((2, 2, 3), 0.25, np.float32))
    node = leaky_to_table(graph.with_nodes([graph.input, equal])).nodes[-1]
    assert (node.op, node.attrs["alpha"], dict(node.weights)) == ("Activation", 0.25, {})


def test_falling_leaky_relu_stays_before_its_pool():
    graph = image((4, 4, 1), ("Activation", {"activation": "leaky_relu", "alpha": -0.5}), POOL)
    assert max_pool_before_activation(graph) is graph


def test_negative_gamma_stays_after_a_max_pool():
    graph = image((6, 6, 8), POOL, BN)
    assert np.any(graph.nodes[-1].weights["gamma"] < 0)
    assert batchnorm_before_pool(graph) is graph


def test_zero_gamma_gives_a_dead_channel():
    graph = image((6, 6, 2), ("Conv2D", CONV), BN)
    gamma, beta = np.float32([1, 0, 2, -1]), np.float32([1, 0.03, 2, 3])
    last = graph.nodes[-1].with_weights(gamma=gamma, beta=beta)
    graph = graph.with_nodes([*graph.nodes[:-1], last])
    node = verified(fold_batchnorm, graph, random_images(graph)).nodes[-1]
    assert not node.weights["kernel"][..., 1].any()
    assert node.weights["bias"][1] == beta[1]
    constant = graph.with_nodes([*graph.nodes[:-1], last.with_weights(beta=beta * 10)])
    assert fold_batchnorm(constant) is constant


def test_batchnorm_of_a_shared_tensor_stays():
    graph = image((6, 6, 4), ("Conv2D", CONV), BN)
    add = make_node("a", "Add", ["n0", "n1"])
    graph = graph.with_nodes([*graph.nodes, add], "a")
    assert fold_batchnorm(graph) is graph


@pytest.mark.parametrize("scale", [0.5, (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("offset", [0.0, -1.0, (-1.0, 0.5, 2.0)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_rescaling_folds_into_a_convolution(scale, offset, padding, use_bias):
    graph = image(
        (5, 6, 3),
        ("Rescaling", {"scale": scale, "offset": offset}),
        ("Conv2D", {**CONV, "padding": padding, "strides": 2, "use_bias": use_bias}),
        RELU,
    )
    after = verified(align_rescaling, graph, random_images(graph))
    attrs = after.nodes[1].attrs
    assert (attrs["scale"], attrs["offset"]) == (0.5 if scale == 0.5 else 1.0, 0.0)
    assert align_rescaling(after) is after
    padded = padding == "same" and offset != 0.0
    assert (after.nodes[2].attrs["padding_value"] is not None) == padded


def test_padding_value_is_the_pixel_of_zero():
    for scale, offset, expected in (
        (0.5, -1.0, (1.0,)),
        ((0.5, 0.25), -1.0, (2.0, 4.0)),
        (2.0, (-1.0, 3.0), (1.0, -3.0)),
    ):
        graph = image(
            (4, 4, 2), ("Rescaling", {"scale": scale, "offset": offset}), ("Conv2D", CONV)
        )
        assert align_rescaling(graph).nodes[2].attrs["padding_value"] == expected


@pytest.mark.parametrize(
    "layer",
    [
        ("Dense", {"units": 3}),
        ("BufferTempConv", {"filters": 2, "fifo_size": 3}),
        ("DepthwiseBufferTempConv", {"fifo_size": 3}),
    ],
)
def test_rescaling_folds_into_other_layers(layer):
    graph = image((2, 2, 2), ("Rescaling", {"scale": (0.1, 0.3), "offset": 0.0}), layer)
    assert verified(align_rescaling, graph, random_images(graph)) is not graph
    shifted = image((2, 2, 2), ("Rescaling", {"scale": 0.1, "offset": -1.0}), layer)
    after = verified(align_rescaling, shifted, random_images(shifted))
    # A buffer starts with zeros, which would then mean the offset.
    assert (after is shifted) == ("Buffer" in layer[0])


def test_rescaling_in_front_of_others_stays():
    for layer in (("DepthwiseConv2D", DW), ("ZeroPadding2D", {}), ("Flatten", {})):
        graph = image((4, 4, 2), ("Rescaling", {"scale": 0.5, "offset": -1.0}), layer)
        assert align_rescaling(graph) is graph


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (7, 8)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [2, 4, 6])
@pytest.mark.parametrize(
    "op", ["Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "DepthwiseConv2DTranspose"]
)
@pytest.mark.parametrize("channels", [2, 3])
def test_even_kernels_become_odd(size, stride, kernel, op, channels):
    attrs = {"kernel_size": kernel, "strides": stride, "padding": "same"}
    attrs |= {} if op.startswith("Depthwise") else {"filters": 4}
    graph = chain((*size, channels), (op, attrs))
    after = verified(odd_kernels, graph, random_images(graph), 1e-6)
    image_layer = op == "Conv2D" and channels == 3
    grows = kernel != 4 if image_layer else stride == 1 or kernel == 2
    assert after.nodes[-1].attrs["kernel_size"] == (kernel + grows, kernel + grows)
    assert odd_kernels(after) is after


def test_new_names_are_readable():
    change, graph, _ = CASES["long concatenate"]
    assert [node.name for node in change(graph).nodes[3:]] == ["cat_r", "cat_n0", "cat"]
    change, graph, _ = CASES["strided 5x5"]
    assert change(graph).output == "n0_identity_dw_conv"
    change, graph, _ = CASES["four readers"]
    assert [node.name for node in change(graph).nodes[2:4]] == [
        "n0_identity_conv_3",
        "n0_identity_conv_4",
    ]
    change, graph, _ = CASES["join at the end"]
    assert change(graph).output == "a_identity_conv"


def test_average_of_three_stays():
    graph = branched(("a", "Add", ["n0", "n0", "n0"], {"average": True}))
    assert split_joins(graph) is graph


def test_a_wrong_pass_is_caught():
    def lose_relu(graph):
        return graph.rewrite(lambda node: [] if node.op == "ReLU" else None)

    def lose_flatten(graph):
        return graph.rewrite(lambda node: [] if node.op == "Flatten" else None)

    graph = image((4, 4, 2), ("Conv2D", CONV), RELU, ("Flatten", {}))
    with pytest.raises(ModelError, match="m: the pass lose_relu changed the outputs by"):
        verified(lose_relu, graph, random_images(graph))
    with pytest.raises(ModelError, match=r"lose_flatten changed the output shape from \(64,\)"):
        verified(lose_flatten, graph, random_images(graph))


def test_random_images_cover_the_inputs_type():
    images = random_images(image((8, 8, 3), ("Flatten", {})), 16)
    assert (images.dtype, images.min(), images.max()) == (np.uint8, 0, 255)
    images = random_images(chain((8, 8, 3), ("Flatten", {}), dtype="int8"), 16)
    assert (images.dtype, images.min(), images.max()) == (np.int8, -128, 127)
    assert random_images(chain((8, 8, 3), ("Flatten", {}))).dtype == np.float32
