import numpy as np
import pytest

from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.preparation.verification import random_images
from pipeline.transforms import TRANSFORMS, Images
from tests.pipeline.graph.chains import chain

RELU, BN, GAP = ("ReLU", {"max_value": 6.0}), ("BatchNormalization", {}), "GlobalAveragePooling2D"
FLAT, DENSE = ("Flatten", {}), ("Dense", {"units": 4})
SAME, PRELU = {"padding": "same"}, ("PReLU", {})
CROP, SWAP = ("Cropping2D", {"cropping": ((1, 0), (2, 3))}), ("Permute", {"dims": (2, 1, 3)})
PAD = ("ZeroPadding2D", {"padding": ((1, 1), (1, 1))})


def conv(kernel=3, op="Conv2D", padding="same", **attrs):
    return op, {"filters": 6, "kernel_size": kernel, "padding": padding, **attrs}


def depthwise(**attrs):
    return "DepthwiseConv2D", {"kernel_size": 3, "padding": "same", **attrs}


def average(size, **attrs):
    return "AveragePooling2D", {"pool_size": size, **attrs}


def pool(size, **attrs):
    return "MaxPooling2D", {"pool_size": size, **attrs}


EXACT = [
    # transform, shape, layers, changed node, its new operations or attributes
    ("replace_average_pooling", (6, 8, 3), [average((6, 8))], ["GlobalAveragePooling2D"]),
    ("replace_average_pooling", (5, 5, 3), [average(7, padding="same")], [GAP]),
    ("replace_average_pooling", (6, 8, 3), [average(2)], ["DepthwiseConv2D"]),
    ("replace_average_pooling", (7, 8, 3), [average((3, 2), strides=2)], ["DepthwiseConv2D"]),
    ("replace_average_pooling", (6, 8, 3), [average(2, padding="same")], ["DepthwiseConv2D"]),
    ("dense_on_map", (4, 5, 3), [DENSE], ["Conv2D"]),
    ("expand_dilation", (9, 9, 3), [conv(dilation_rate=3)], {"kernel_size": (7, 7)}),
    (
        "expand_dilation",
        (9, 9, 3),
        [conv((3, 2), padding="valid", dilation_rate=(2, 3))],
        {"kernel_size": (5, 4)},
    ),
    ("expand_dilation", (9, 9, 3), [depthwise(dilation_rate=2)], {"kernel_size": (5, 5)}),
    (
        "expand_dilation",
        (9, 9, 3),
        [conv(op="SeparableConv2D", dilation_rate=2)],
        {"kernel_size": (5, 5)},
    ),
    ("replace_upsampling", (4, 5, 3), [("UpSampling2D", {"size": 3})], {"strides": (3, 3)}),
    ("replace_upsampling", (4, 5, 3), [("UpSampling2D", {"size": (2, 1)})], {"strides": (2, 1)}),
    ("replace_cropping", (6, 7, 3), [CROP], ["DepthwiseConv2D"]),
    ("replace_cropping", (6, 7, 3), [("Cropping2D", {"cropping": ((0, 0), (0, 0))}), conv()], []),
    ("sink_permutes", (6, 7, 3), [SWAP, conv((3, 5)), FLAT, DENSE], []),
    ("sink_reshapes", (6, 7, 3), [conv(), ("Reshape", {"target_shape": (42, 6)}), DENSE], {}),
    ("expand_groups", (6, 7, 4), [conv(groups=2)], {"groups": 1}),
    ("expand_groups", (6, 7, 4), [conv(groups=2, use_bias=False, strides=2)], {"groups": 1}),
    ("expand_groups", (6, 7, 4), [depthwise(depth_multiplier=3)], ["Conv2D"]),
    ("expand_groups", (6, 7, 4), [conv(op="SeparableConv2D", depth_multiplier=2)], ["Conv2D"]),
    ("square_windows", (6, 9, 3), [conv((1, 3))], {"kernel_size": (3, 3)}),
    ("square_windows", (6, 9, 3), [conv((5, 2), strides=2)], {"kernel_size": (5, 5)}),
    ("square_windows", (6, 9, 3), [conv((4, 3), op="SeparableConv2D")], {"kernel_size": (4, 4)}),
    ("square_windows", (6, 7, 3), [conv((3, 2), padding="valid", strides=2)], {}),
    ("square_windows", (12, 1, 3), [conv((5, 1), strides=(2, 1))], {"strides": (2, 2)}),
    ("square_windows", (12, 1, 3), [pool((2, 1), **SAME)], {"pool_size": (2, 2)}),
    ("square_windows", (1, 12, 3), [pool((1, 3), strides=(1, 3))], {"pool_size": (3, 3)}),
    ("match_pool_padding", (8, 8, 3), [conv(), RELU, pool(2)], {}),
    ("match_pool_padding", (9, 9, 3), [conv(padding="valid"), BN, RELU, pool(7, **SAME)], {}),
    (
        "match_pool_padding",
        (10, 10, 3),
        [conv(padding="valid"), RELU, pool(2, **SAME)],
        {},
    ),
    ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, FLAT, DENSE], {}),
    ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, conv(1)], {}),
    ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, conv(3, padding="valid")], {}),
    ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, depthwise(padding="valid")], {}),
    (
        "fold_batchnorm_forward",
        (5, 6, 3),
        [RELU, BN, conv(3, op="SeparableConv2D", padding="valid", depth_multiplier=2)],
        {},
    ),
    ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, (GAP, {}), DENSE], {}),
    ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, ("Dropout", {}), BN, FLAT, DENSE], {}),
    ("batchnorm_to_depthwise", (5, 6, 3), [RELU, BN, conv()], ["DepthwiseConv2D"]),
    ("batchnorm_to_depthwise", (5, 6, 3), [BN], ["DepthwiseConv2D"]),
    ("identity_before_pooling", (5, 6, 3), [depthwise(), RELU, (GAP, {})], {}),
    ("identity_before_pooling", (6, 6, 3), [conv(), pool(2, **SAME), RELU, (GAP, {})], {}),
    ("identity_before_pooling", (6, 6, 3), [(GAP, {"keepdims": True})], {}),
    ("fuse_separable", (6, 6, 3), [depthwise(), conv(1)], ["SeparableConv2D"]),
    (
        "fuse_separable",
        (6, 6, 3),
        [depthwise(depth_multiplier=2, strides=2), conv(1, use_bias=False)],
        ["SeparableConv2D"],
    ),
    ("enlarge_even_kernels", (6, 6, 4), [conv(4)], {"kernel_size": (5, 5)}),
    ("fold_zero_padding", (7, 7, 3), [PAD, conv(padding="valid", strides=2)], []),
    ("fold_zero_padding", (7, 7, 3), [RELU, PAD, pool(3, strides=2)], []),
    ("gap_before_activation", (6, 6, 3), [conv(), RELU, (GAP, {}), DENSE], {}),
    ("gap_before_activation", (6, 6, 3), [conv(), RELU, (GAP, {"keepdims": True})], {}),
    ("gap_before_activation", (6, 6, 3), [conv(), RELU, (GAP, {}), ("Dropout", {}), DENSE], {}),
]


@pytest.mark.parametrize("name, shape, layers, expected", EXACT)
def test_exact_transforms(name, shape, layers, expected):
    graph = chain(shape, *layers)
    names = [node.name for node in graph.nodes]
    images = random_images(graph, 6)
    before = forward(graph, images)
    rewrite = TRANSFORMS[name](graph)
    assert rewrite.changed and rewrite.equivalent
    after = forward(rewrite.graph, images)
    # Sums in another order: a few float32 roundings of the largest term.
    np.testing.assert_allclose(
        after.reshape(before.shape), before, rtol=1e-5, atol=2e-5 * np.abs(before).max()
    )
    assert TRANSFORMS[name](rewrite.graph).changed == ()
    assert [node.name for node in graph.nodes] == names
    changed = [node for node in rewrite.graph.nodes if node.name in rewrite.changed]
    if isinstance(expected, list):
        assert [node.op for node in changed] == expected
    else:
        for key, value in expected.items():
            assert [node.attrs[key] for node in changed] == [value] * len(changed)


@pytest.mark.parametrize(
    "name, shape, layers",
    [
        ("replace_average_pooling", (7, 7, 3), [average(2, padding="same")]),
        ("expand_dilation", (20, 20, 3), [conv(dilation_rate=9)]),
        ("expand_groups", (6, 6, 6), [conv(groups=6)]),
        ("square_windows", (6, 9, 3), [conv((1, 3), padding="valid")]),
        ("square_windows", (6, 9, 3), [conv(3, strides=(1, 2))]),
        ("square_windows", (6, 8, 3), [pool((2, 1))]),
        ("square_windows", (4, 1, 3), [pool((3, 1), padding="valid")]),
        ("match_pool_padding", (7, 7, 3), [conv(), pool(2)]),
        ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, conv()]),
        ("fold_batchnorm_forward", (5, 6, 3), [RELU, BN, RELU]),
        ("fold_batchnorm_forward", (5, 6, 3), [conv(), BN, FLAT, DENSE]),
        ("fold_batchnorm_forward", (6, 6, 3), [conv(), (GAP, {}), BN, DENSE]),
        ("batchnorm_to_depthwise", (5,), [BN, DENSE]),
        ("identity_before_pooling", (5, 6, 3), [conv(), RELU, (GAP, {})]),
        ("identity_before_pooling", (5, 6, 3), [conv(op="SeparableConv2D"), (GAP, {})]),
        ("fuse_separable", (5, 6, 3), [depthwise(), RELU, conv(1)]),
        ("fuse_separable", (5, 6, 3), [depthwise(), conv(3)]),
        ("gap_before_activation", (5, 6, 3), [conv(), (GAP, {}), RELU]),
        ("cut_borders_in_dense", (8, 8, 3), [RELU, conv(padding="valid"), PRELU, FLAT, DENSE]),
        (
            "cut_borders_in_dense",
            (6, 6, 3),
            [RELU, conv(padding="valid"), ("Reshape", {"target_shape": (2, 8, 6)}), FLAT, DENSE],
        ),
        ("cut_borders_in_dense", (8, 8, 3), [conv(padding="valid"), conv(), FLAT, DENSE]),
        ("enlarge_small_kernels", (7, 8, 3), [conv(2, padding="valid", strides=2)]),
        ("enlarge_small_kernels", (8, 8, 3), [conv(1)]),
        ("replace_upsampling", (4, 4, 3), [("UpSampling2D", {"interpolation": "bilinear"})]),
        ("stride_by_selection", (7, 7, 3), [PAD, conv(padding="valid", strides=2)]),
        ("stride_by_selection", (8, 8, 3), [conv(), PAD, pool(3, strides=2)]),
        ("select_after_pooling", (8, 8, 3), [conv(), RELU, pool(2)]),
        ("relu_after_max_pooling", (8, 8, 3), [conv(), pool(2, **SAME), RELU, FLAT, DENSE]),
        ("identity_before_tail", (8, 8, 3), [conv(), RELU, pool(2, **SAME), FLAT, DENSE, RELU]),
        ("identity_after_input", (8, 8, 3), [conv(), RELU]),
        ("fold_zero_padding", (8, 8, 3), [RELU, PAD, pool(3, strides=2)]),
        ("fold_zero_padding", (7, 7, 3), [conv(), PAD, pool(3, strides=2)]),
        ("power_of_two_clip", (5, 6, 3), [("ReLU", {"max_value": 8.0}), ("ReLU", {})]),
    ],
)
def test_inexact_rewrites_are_skipped(name, shape, layers):
    graph = chain(shape, *layers)
    rewrite = TRANSFORMS[name](graph)
    assert rewrite.changed == ()
    assert [n.op for n in rewrite.graph.nodes] == [n.op for n in graph.nodes]
    assert rewrite.equivalent


def test_constants_of_gamma_0_are_folded():
    graph = chain((5, 6, 3), conv(), BN, RELU, FLAT, DENSE)
    gamma, beta = np.float32([1, 0, -2, 0, 1, 0]), np.float32([1, 2, 3, -4, 5, 0.01])
    norm = graph.node("n1").with_weights(gamma=gamma, beta=beta)
    graph = graph.with_nodes(norm if node.name == "n1" else node for node in graph.nodes)
    rewrite = TRANSFORMS["fold_constant_channels"](graph)
    assert rewrite.changed == ("n1",) and "n1" not in rewrite.graph.by_name
    images = random_images(graph)
    before = forward(graph, images)
    # Sums in another order: a few float32 roundings of the largest term.
    np.testing.assert_allclose(
        forward(rewrite.graph, images), before, rtol=1e-5, atol=2e-5 * np.abs(before).max()
    )
    assert TRANSFORMS["fold_constant_channels"](rewrite.graph).changed == ()
    small = norm.with_weights(beta=beta / 100)
    graph = graph.with_nodes(small if node.name == "n1" else node for node in graph.nodes)
    assert TRANSFORMS["fold_constant_channels"](graph).changed == ()


def test_fusing_takes_back_the_names_of_unfusing():
    graph = chain((6, 6, 3), conv(op="SeparableConv2D"), RELU)
    split = TRANSFORMS["unfuse_separable"](graph).graph
    fused = TRANSFORMS["fuse_separable"](split).graph
    assert [node.name for node in fused.nodes] == [node.name for node in graph.nodes]
    images = random_images(graph)
    np.testing.assert_array_equal(forward(fused, images), forward(graph, images))


def test_a_batch_norm_with_several_consumers_stays():
    graph = chain((6, 6, 3), RELU, BN, conv(1), conv(1))
    side = graph.node("n2")
    nodes = [*graph.nodes[:4], Node("side", side.op, ("n1",), side.attrs, side.weights)]
    nodes.append(make_node("sum", "Add", ["n2", "side"]))
    rewrite = TRANSFORMS["fold_batchnorm_forward"](Graph("m", nodes, "sum"))
    assert rewrite.changed == ()


def test_the_clip_reports_the_clipped_share():
    graph = chain((5, 6, 3), RELU, ("ReLU", {"max_value": 3.75}))
    images = np.float32(np.linspace(-2, 10, 90 * 4)).reshape(4, 5, 6, 3)
    rewrite = TRANSFORMS["power_of_two_clip"](graph, None, Images(images=images))
    assert not rewrite.equivalent
    assert [node.attrs["max_value"] for node in rewrite.graph.nodes[1:]] == [8.0, 4.0]
    share, after = (rewrite.details[key] for key in ("clipped_share", "clipped_share_after"))
    assert share["n0"] == pytest.approx(np.mean(images >= 6))
    assert after["n0"] == pytest.approx(np.mean(images >= 8))
    assert after["n1"] <= share["n1"]
