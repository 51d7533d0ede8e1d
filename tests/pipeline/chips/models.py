"""Small model for each row of the architecture matrix, with each chip's verdict."""

from __future__ import annotations

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS
from tests.pipeline.graph.chains import chain

YES, FIX, NO = "compatible", "compatible after migrate", "incompatible"
RELU = ("ReLU", {"max_value": 6.0})
FLAT, GAP, BN = ("Flatten", {}), ("GlobalAveragePooling2D", {}), ("BatchNormalization", {})
POOL = ("MaxPooling2D", {"padding": "same"})


def conv(filters=4, kernel=3, op="Conv2D", **attrs):
    return (op, {"filters": filters, "kernel_size": kernel, "padding": "same", **attrs})


def depthwise(**attrs):
    return ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same", **attrs})


def dense(units=5, **attrs):
    return ("Dense", {"units": units, **attrs})


def image(*layers, shape=(8, 8, 3)):
    """Return a chain on a uint8 image, after a first convolution."""
    return chain(shape, conv(), RELU, *layers, dtype="uint8")


def first(*layers, shape=(8, 8, 3)):
    return chain(shape, *layers, dtype="uint8")


def branches(op, **attrs):
    """Return two convolutions of one tensor, joined."""
    nodes = list(image().nodes)
    source = nodes[-1].name
    rng = np.random.default_rng(0)

    def add(name, op, inputs, attrs, channels):
        node = make_node(name, op, inputs, attrs)
        shapes = OPERATIONS[op].weights(node.attrs, (8, 8, channels))
        weights = {key: rng.normal(size=s).astype(np.float32) for key, s in shapes.items()}
        nodes.append(node.with_weights(**weights))

    add("a", *_named("Conv2D", [source], filters=4, kernel_size=3, padding="same"), 4)
    add("b", *_named("Conv2D", [source], filters=4, kernel_size=3, padding="same"), 4)
    add("join", *_named(op, ["a", "b"], **attrs), 4)
    joined = 8 if op == "Concatenate" else 4
    add("after", *_named("Conv2D", ["join"], filters=4, kernel_size=1, padding="same"), joined)
    nodes += [
        make_node("relu", "ReLU", ["after"], {"max_value": 6.0}),
        make_node("gap", "GlobalAveragePooling2D", ["relu"]),
    ]
    add("head", *_named("Dense", ["gap"], units=5), 4)
    return Graph("m", nodes, "head")


def _named(op, inputs, **attrs):
    return op, inputs, attrs


MATRIX = {
    # row: (model, verdict on Akida 1.0, verdict on Akida 2.0)
    "conv relu flatten dense": (image(FLAT, dense()), YES, YES),
    "first conv without relu": (first(conv(), conv(), RELU, FLAT, dense()), NO, YES),
    "inner conv without relu": (image(conv(), conv(), RELU, FLAT, dense()), NO, YES),
    "fused separable": (image(conv(op="SeparableConv2D"), RELU, FLAT, dense()), YES, FIX),
    "unfused separable": (image(depthwise(), conv(kernel=1), RELU, FLAT, dense()), FIX, YES),
    "depthwise with relu": (image(depthwise(), RELU, conv(), RELU, FLAT, dense()), NO, YES),
    "gap before relu": (image(conv(), GAP, RELU, dense()), YES, FIX),
    "gap before bn and relu": (image(conv(), GAP, BN, RELU, dense()), YES, FIX),
    "gap behind relu": (image(conv(), RELU, GAP, dense()), FIX, YES),
    "gap behind the first relu": (image(GAP, dense()), FIX, YES),
    "gap last": (image(conv(), GAP), YES, YES),
    "max pool behind relu": (image(conv(), RELU, POOL, FLAT, dense()), YES, YES),
    "max pool before relu": (image(conv(), POOL, RELU, FLAT, dense()), YES, YES),
    "bn before pool": (image(conv(), BN, POOL, RELU, FLAT, dense()), YES, YES),
    "bn before relu": (image(conv(), BN, RELU, FLAT, dense()), YES, YES),
    "bn behind relu, before dense": (image(conv(), RELU, BN, FLAT, dense()), FIX, FIX),
    "bn behind relu, before conv": (image(BN, conv(), RELU, FLAT, dense()), NO, FIX),
    "pool padding differs, tiled": (
        image(conv(), ("MaxPooling2D", {}), RELU, FLAT, dense()),
        FIX,
        FIX,
    ),
    "pool padding differs": (
        image(conv(), ("MaxPooling2D", {}), RELU, FLAT, dense(), shape=(9, 9, 3)),
        NO,
        FIX,
    ),
    "max pool 2x1": (
        image(
            conv(), RELU, ("MaxPooling2D", {"pool_size": (2, 1), "padding": "same"}), FLAT, dense()
        ),
        YES,
        YES,
    ),
    "max pool 3/2 on the first conv": (
        first(
            conv(),
            RELU,
            ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),
            FLAT,
            dense(),
        ),
        YES,
        YES,
    ),
    "average pool": (image(conv(), RELU, ("AveragePooling2D", {}), FLAT, dense()), NO, FIX),
    "average pool of the whole map": (
        image(conv(), RELU, ("AveragePooling2D", {"pool_size": 8}), FLAT, dense()),
        FIX,
        FIX,
    ),
    "unbounded relu": (image(conv(), ("ReLU", {}), FLAT, dense()), YES, YES),
    "leaky relu": (image(conv(), ("LeakyReLU", {}), FLAT, dense()), NO, YES),
    "swish": (image(conv(), ("Activation", {"activation": "swish"}), FLAT, dense()), NO, YES),
    "tanh": (image(conv(), ("Activation", {"activation": "tanh"}), FLAT, dense()), NO, NO),
    "add": (branches("Add"), NO, YES),
    "concatenate": (branches("Concatenate"), NO, YES),
    "transposed, stride 2": (
        image(conv(op="Conv2DTranspose", strides=2), RELU, conv(), RELU, FLAT, dense()),
        NO,
        YES,
    ),
    "transposed, stride 1": (
        image(conv(op="Conv2DTranspose"), RELU, conv(), RELU, FLAT, dense()),
        NO,
        YES,
    ),
    "rectangular kernel": (image(conv(kernel=(3, 5)), RELU, FLAT, dense()), YES, FIX),
    "rectangular valid kernel": (
        image(conv(kernel=(1, 3), padding="valid"), RELU, FLAT, dense()),
        YES,
        FIX,
    ),
    "rectangular stride": (image(conv(strides=(2, 1)), RELU, FLAT, dense()), YES, YES),
    "dilation": (image(conv(dilation_rate=2), RELU, FLAT, dense()), FIX, FIX),
    "wide dilation": (image(conv(dilation_rate=9), RELU, FLAT, dense()), NO, NO),
    "groups": (image(conv(groups=2), RELU, FLAT, dense()), FIX, FIX),
    "depth multiplier": (
        image(conv(op="SeparableConv2D", depth_multiplier=2), RELU, FLAT, dense()),
        FIX,
        FIX,
    ),
    "dense on a map": (image(dense(), RELU, FLAT, dense()), FIX, FIX),
    "final softmax": (image(FLAT, dense(), ("Softmax", {})), YES, YES),
    "softmax inside": (image(FLAT, dense(), ("Softmax", {}), dense()), NO, NO),
    "two dense, dropout": (
        image(FLAT, dense(8), RELU, ("Dropout", {"rate": 0.5}), dense()),
        YES,
        YES,
    ),
    "reshape behind gap": (
        image(
            conv(),
            GAP,
            RELU,
            ("Reshape", {"target_shape": (1, 1, 4)}),
            conv(kernel=1),
            RELU,
            FLAT,
            dense(),
        ),
        YES,
        FIX,
    ),
    "reshape of a map": (
        image(("Reshape", {"target_shape": (4, 16, 4)}), conv(), RELU, FLAT, dense()),
        NO,
        NO,
    ),
    "max pool before gap": (image(conv(), RELU, POOL, GAP, dense()), NO, FIX),
    "depthwise before gap": (image(depthwise(), RELU, GAP, dense()), NO, FIX),
    "edge learning": (
        image(FLAT, dense(8), ("ReLU", {"max_value": 1.0}), dense(use_bias=False)),
        YES,
        NO,
    ),
    "upsampling": (image(("UpSampling2D", {}), conv(), RELU, FLAT, dense()), NO, FIX),
    "zero padding before 3x3": (
        image(
            ("ZeroPadding2D", {"padding": ((1, 1), (1, 1))}),
            conv(padding="valid"),
            RELU,
            FLAT,
            dense(),
        ),
        YES,
        YES,
    ),
}
