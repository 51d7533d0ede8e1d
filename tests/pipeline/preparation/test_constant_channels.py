"""Channels with gamma 0: their constant moves into later biases, or is kept with the reason."""

from collections import Counter

import numpy as np
import pytest

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.preparation import fold_batchnorm, fold_constant_channels
from pipeline.preparation.constant_channels import constant_channels, obstacle_to_moving
from pipeline.preparation.verification import random_images, verified
from tests.pipeline.graph.chains import chain

CONV = ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"})
BN, RELU, FLAT = ("BatchNormalization", {}), ("ReLU", {"max_value": 6.0}), ("Flatten", {})
DENSE, GAP = ("Dense", {"units": 3}), ("GlobalAveragePooling2D", {})
POOL = ("MaxPooling2D", {"padding": "same"})


def conv(kernel=3, op="Conv2D", padding="valid", **attrs):
    attrs = {"kernel_size": kernel, "padding": padding, **attrs}
    return op, attrs if op == "DepthwiseConv2D" else {"filters": 4, **attrs}


def dead(graph, gamma=(1.0, 0.0, -2.0, 0.0), beta=(0.5, 2.0, 3.0, -1.0)):
    """Return `graph` with the given gammas and betas in its first batch norm."""
    first = next(node for node in graph.nodes if node.op == "BatchNormalization")
    new = first.with_weights(gamma=np.float32(gamma), beta=np.float32(beta))
    return graph.with_nodes(new if node is first else node for node in graph.nodes)


def model(*layers, shape=(9, 9, 3), **options):
    return dead(chain(shape, CONV, BN, *layers), **options)


def folded(graph):
    """Fold, check that nothing changes, and return the graph without its first batch norm."""
    gone = constant_channels(graph.node("n1"))
    after = verified(fold_constant_channels, graph, random_images(graph))
    assert not constant_channels(after.node("n1")).any()
    assert fold_constant_channels(after) is after
    after = verified(fold_batchnorm, after, random_images(after))
    assert "n1" not in after.by_name
    assert not after.node("n0").weights["kernel"][..., gone].any()
    return after


@pytest.mark.parametrize(
    "layers",
    [
        [RELU, FLAT, DENSE],
        [FLAT, DENSE],
        [DENSE],
        [RELU, conv()],
        [RELU, conv(use_bias=False)],
        [RELU, conv(1, padding="same")],
        [RELU, conv(2, padding="same", strides=2), DENSE],
        [RELU, conv(5, strides=2), RELU],
        [RELU, conv(dilation_rate=2)],
        [RELU, conv(groups=2)],
        [RELU, conv(op="DepthwiseConv2D", depth_multiplier=2), conv()],
        [RELU, conv(op="SeparableConv2D")],
        [POOL, RELU, ("Dropout", {}), conv()],
        [GAP, RELU, DENSE],
        [RELU, ("Reshape", {"target_shape": (3, 27, 4)}), conv()],
        [RELU, ("Reshape", {"target_shape": (1, 1, -1)}), DENSE],
        [("LeakyReLU", {}), conv()],
        [("PReLU", {"shared_axes": (1, 2)}), conv()],
        [("Activation", {"activation": "sigmoid"}), conv()],
        [("Activation", {"activation": "swish"}), ("AveragePooling2D", {}), conv()],
        [("QuantizedReLU", {"bits": 2}), conv()],
        [RELU, BN, ("Rescaling", {"scale": 0.5, "offset": 1.0}), RELU, conv()],
        [("UpSampling2D", {}), RELU, conv()],
        [("Permute", {"dims": (2, 1, 3)}), RELU, conv()],
    ],
)
def test_constants_move_into_the_next_bias(layers):
    shape = (8, 8, 3) if layers[1:2] and layers[1][1].get("strides") == 2 else (9, 9, 3)
    folded(model(*layers, shape=shape))


def test_a_relu_that_sets_the_constant_to_0_leaves_nothing_to_move():
    graph = model(RELU, CONV, RELU, FLAT, DENSE, beta=(0.5, -2.0, 3.0, -1.0))
    after = folded(graph)
    np.testing.assert_array_equal(
        after.node("n3").weights["bias"], graph.node("n3").weights["bias"]
    )


def test_small_constants_stay():
    graph = model(RELU, CONV, beta=(0.5, 0.03, 3.0, -0.05))
    assert fold_constant_channels(graph) is graph


def branched(join, *after, **attrs):
    """Return conv > BN > ReLU, joined with another convolution of the input."""
    graph = dead(chain((9, 9, 3), CONV, BN, RELU, CONV))
    side = graph.node("n3")
    other = graph.node("n0")
    nodes = [*graph.nodes[:4], make_node("side", "Conv2D", ["input"], other.attrs, other.weights)]
    nodes.append(make_node("join", join, ["n2", "side"], attrs))
    rng = np.random.default_rng(1)
    for number, (op, options) in enumerate(after):
        weights = {}
        if op == "Conv2D":
            channels = Graph("m", nodes, nodes[-1].name).shapes[nodes[-1].name][-1]
            kernel = rng.normal(size=(*(options["kernel_size"],) * 2, channels, 4))
            weights = {"kernel": kernel, "bias": side.weights["bias"]}
        nodes.append(make_node(f"after{number}", op, [nodes[-1].name], options, weights))
    return Graph("m", nodes, nodes[-1].name)


def test_constants_propagate_through_joins():
    folded(branched("Add", conv()))
    folded(branched("Add", ("Dropout", {}), POOL, conv(), average=True))
    folded(branched("Concatenate", RELU, conv()))


def test_unfolded_layers_have_a_reason():
    def why(graph):
        assert fold_constant_channels(graph) is graph
        return obstacle_to_moving(graph, graph.node("n1"))

    padded = "reach n3 (Conv2D), which pads its border with zeros instead"
    assert why(model(RELU, CONV)) == padded
    assert why(model(RELU)) == "are outputs of the model"
    assert why(branched("Add", RELU, conv())) == "reach after0 (ReLU) added to other values"
    assert why(model(("ZeroPadding2D", {}))) == "reach n2 (ZeroPadding2D)"
    assert why(model(("Softmax", {}))) == "reach n2 (Softmax)"
    assert why(model(("PReLU", {}), FLAT, DENSE)) == "reach n2, a PReLU with a slope per pixel"
    assert why(model(("Permute", {"dims": (3, 1, 2)}))).startswith("are no longer the last axis")
    reshaped = model(("Reshape", {"target_shape": (4, 9, 9)}))
    assert why(reshaped) == "are divided by n2 (Reshape)"


TAILS = [
    [RELU], [POOL], [POOL, RELU], [BN], [("Dropout", {})], [conv()], [conv(1)], [CONV],
    [conv(op="DepthwiseConv2D")], [conv(op="SeparableConv2D", padding="same")],
    [("LeakyReLU", {})], [("Activation", {"activation": "gelu"})], [("AveragePooling2D", {})],
    [("Conv2DTranspose", {"filters": 4, "kernel_size": 3})],
]  # fmt: skip


def test_random_tails_are_equal_or_blocked():
    rng, seen = np.random.default_rng(0), Counter()
    for number in range(250):
        tail = [layer for pick in rng.integers(0, len(TAILS), 4) for layer in TAILS[pick]]
        end = [GAP, DENSE] if rng.random() < 0.5 else [FLAT, DENSE]
        graph = chain((24, 23, 3), CONV, BN, *tail, *end, seed=number)
        gamma = np.float32(rng.choice([-1, 0, 0, 1], 4))
        graph = dead(graph, gamma=gamma, beta=np.float32(rng.normal(size=4) * 2))
        if not constant_channels(graph.node("n1")).any():
            continue
        blocked = fold_constant_channels(graph) is graph
        seen[obstacle_to_moving(graph, graph.node("n1"))[:5] if blocked else "folded"] += 1
        if not blocked:
            folded(graph)
    assert seen["folded"] > 60 and seen["reach"] > 30, seen
