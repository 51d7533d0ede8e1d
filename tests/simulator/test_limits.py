"""Published limits of Akida 2.0: one passing and one failing case for every limit."""

import dataclasses

import numpy as np
import pytest

from simulator.akida_v2 import limits
from tests import builders


def make(kind, **options):
    """Return a small layer within the limits, except for `options`."""
    rng = np.random.default_rng(0)
    defaults = {
        "input_shape": (8, 8, 3),
        "stride": (2, 2) if kind in builders.TRANSPOSED else (1, 1),
        "output_bits": 8,
    }
    changes = options.pop("changes", {})
    if kind == "Add":
        layer = builders.add_layer(rng, **options)
    elif kind == "InputData":
        layer = builders.input_data(**options)
    else:
        layer = builders.neural_layer(kind, rng, **(defaults | options))
    return dataclasses.replace(layer, **changes)


def size(n):
    return {"kernel": (n, n)}


def pool(n, stride, padding="same", **options):
    return {"pool": (n, n), "pool_stride": (stride, stride), "pool_padding": padding, **options}


PADDING = {"changes": {"padding_value": np.array([0, 0, 300])}}
EDGE = {"changes": {"padding_value": np.array([0, 0, 255])}}
CASES = [
    # kind, fits, does not fit, sentence
    ("Conv2D", {}, {"kernel": (3, 5)}, "square_kernel"),
    ("Conv2D", {"stride": (2, 2)}, {"stride": (2, 1)}, "square_stride"),
    ("Conv2D", size(7), size(2), "kernel_and_stride"),
    ("DepthwiseConv2D", size(3), size(1), "kernel_and_stride"),
    ("Conv2D", {"stride": (2, 2)}, {"stride": (3, 3)}, "kernel_and_stride"),
    ("Conv2D", size(5), size(5) | {"stride": (2, 2)}, "kernel_and_stride"),
    ("Conv2D", size(1) | {"padding": "valid"}, {"padding": "valid"}, "padding"),
    ("Conv2D", {"weight_bits": 4}, {"weight_bits": 5}, "weight_bits"),
    ("Dense1D", {"weight_bits": 4}, {"weight_bits": 2}, "weight_bits"),
    ("Conv2DTranspose", {"weight_bits": 8}, {"weight_bits": 6}, "weight_bits"),
    ("Conv2D", {"output_bits": 4}, {"output_bits": 11}, "output_bits"),
    ("Conv2D", {"requantize": False}, {"output_bits": 16}, "output_bits"),
    (
        "Conv2D",
        {"input_shape": (3, 3, 2048), "filters": 1},
        {"input_shape": (3, 3, 2049), "filters": 1},
        "map_size",
    ),
    ("Conv2D", pool(2, 1, activation="relu"), pool(2, 3), "max_pooling"),
    ("Conv2D", pool(2, 2, activation="relu"), pool(3, 2, activation="relu"), "max_pooling"),
    (
        "Conv2D",
        pool(2, 2, activation="relu"),
        {"pool": (2, 1), "pool_stride": (2, 2), "pool_padding": "same"},
        "square_pool",
    ),
    (
        "Conv2D",
        pool(2, 2, activation="relu"),
        pool(2, 2, activation="lut"),
        "pooled_table",
    ),
    (
        "Conv2D",
        pool(2, 2, "valid", activation="relu") | size(1),
        pool(2, 2, "valid"),
        "pool_padding",
    ),
    (
        "Conv2D",
        {"input_shape": (4096, 1, 1), "filters": 1},
        {"input_shape": (4097, 1, 1), "filters": 1},
        "map_size",
    ),
    (
        "Conv2D",
        {"input_shape": (12, 12, 1), "global_pool": True},
        {"input_shape": (5, 29, 1), "global_pool": True},
        "global_pooling",
    ),
    ("DepthwiseConv2D", {}, {"global_pool": True}, "layer_pattern"),
    ("InputConv2D", size(4), size(6), "input_kernel"),
    ("InputConv2D", {}, {"kernel": (3, 4)}, "square_kernel"),
    ("InputConv2D", {"stride": (3, 3)}, {"stride": (4, 4)}, "input_kernel"),
    (
        "InputConv2D",
        size(7) | {"stride": (6, 6)},
        size(7) | {"stride": (7, 7)},
        "input_kernel",
    ),
    (
        "InputConv2D",
        {"input_shape": (385, 384, 1)},
        {"input_shape": (5, 385, 1)},
        "input_size",
    ),
    (
        "InputConv2D",
        {"input_shape": (5, 5, 1)},
        {"input_shape": (4, 5, 1)},
        "input_size",
    ),
    (
        "InputConv2D",
        {"input_shape": (8, 8, 1)},
        {"input_shape": (8, 8, 2)},
        "input_channels",
    ),
    ("InputConv2D", {"filters": 512}, {"filters": 513}, "input_filters"),
    ("InputConv2D", {}, {"weight_bits": 4}, "weight_bits"),
    ("InputConv2D", pool(3, 2, activation="relu"), pool(2, 1, activation="relu"), "max_pooling"),
    ("InputConv2D", EDGE, PADDING, "padding_value"),
    ("Conv2DTranspose", size(4), size(5), "transposed_convolution"),
    ("Conv2DTranspose", {}, {"stride": (1, 1)}, "transposed_convolution"),
    ("Conv2DTranspose", {}, {"padding": "valid"}, "transposed_convolution"),
    ("DepthwiseConv2DTranspose", size(3), size(2), "transposed_convolution"),
    ("Conv2DTranspose", {}, pool(2, 2, activation="relu"), "layer_pattern"),
    ("Conv2DTranspose", {}, {"global_pool": True}, "layer_pattern"),
    (
        "Dense1D",
        {"input_shape": (1, 1, 2048)},
        {"input_shape": (1, 1, 2049)},
        "dense_inputs",
    ),
    (
        "Dense1D",
        {"activation": "relu"},
        {"activation": "lut"},
        "layer_pattern",
    ),
    ("Dense1D", {}, {"changes": {"input_value_bits": 7}}, "saturating_flatten"),
    ("BufferTempConv", {"fifo_size": 2}, {"fifo_size": 1}, "buffers"),
    ("DepthwiseBufferTempConv", {"fifo_size": 10}, {"fifo_size": 11}, "buffers"),
    (
        "BufferTempConv",
        {"input_shape": (1, 1, 1), "filters": 2048},
        {"input_shape": (1, 1, 1), "filters": 2049},
        "buffers",
    ),
    ("BufferTempConv", {}, {"weight_bits": 4}, "weight_bits"),
    ("Add", {}, {"activation": "relu"}, "layer_pattern"),
    ("Add", {}, {"global_pool": True}, "layer_pattern"),
    ("InputData", {}, {"signed": False}, "signed_input"),
]


def exceeded(layer, consumers=None):
    """Return the names of the limits that a layer exceeds."""
    return [refusal.rule for refusal in limits.exceeded(layer.facts(consumers))]


@pytest.mark.parametrize(("kind", "fits", "exceeds", "limit"), CASES)
def test_limit(kind, fits, exceeds, limit):
    assert exceeded(make(kind, **fits)) == []
    assert limit in exceeded(make(kind, **exceeds))


def test_every_limit_has_a_case():
    tested = {limit for *_, limit in CASES} | {"pooling_follower", "data_bits"}
    assert {limit.name for limit in limits.LIMITS if not limit.remark} == tested


@pytest.mark.parametrize(
    ("consumers", "fits"),
    [
        (None, True),
        (("Conv2D",), True),
        (("DepthwiseConv2D", "Conv2D"), True),
        (("Dense1D",), False),
        (("Conv2D", "Concatenate"), False),
        ((), False),
    ],
)
def test_a_convolution_follows_a_max_pooling(consumers, fits):
    layer = make("Conv2D", **pool(2, 2, activation="relu"))
    assert exceeded(layer, consumers) == ([] if fits else ["pooling_follower"])
    assert exceeded(make("Conv2D"), consumers) == []


def test_one_reading_of_a_side_is_a_remark():
    layer = make("Conv2D", input_shape=(1, 65, 1), global_pool=True)
    assert exceeded(layer) == []
    (remark,) = limits.remarks(layer.facts())
    assert str(remark) == (
        "layer: global average over 1x65; allowed: at most 64 high and 144 pixels;"
        " pool or stride more before it and retrain"
    )
    edge = make("Conv2D", input_shape=(64, 2, 1), global_pool=True)
    assert list(limits.remarks(edge.facts())) == []


def test_the_width_of_inputs():
    facts = make("InputData", signed=True).facts()
    assert list(limits.exceeded(facts)) == []
    wide = dataclasses.replace(facts, input_bits=16)
    assert [refusal.rule for refusal in limits.exceeded(wide)] == ["data_bits"]


@pytest.mark.parametrize("kind", [*builders.NEURAL, "Add"])
def test_layers_that_exceed_limits_still_run(kind):
    exceeding = next(case[2] for case in CASES if case[0] == kind)
    layer = make(kind, **exceeding)
    inputs = [np.ones((2, *shape), np.int32) for shape in layer.input_shapes]
    assert layer.run(*inputs).shape == (2, *layer.output_shape)


def test_a_program_names_the_layers_beyond_limits():
    rng = np.random.default_rng(0)
    first = builders.neural_layer("Conv2D", rng, name="first", weight_bits=5)
    second = builders.neural_layer(
        "Dense1D", rng, name="second", inputs=("first",), input_shape=(5, 6, 4), weight_bits=3
    )
    program = builders.program([first, second])
    assert [(refusal.layers, refusal.rule) for refusal in program.exceeded()] == [
        (("first",), "weight_bits"),
        (("second",), "weight_bits"),
    ]
    assert list(program.limits()) == [
        "first: 5-bit weights; allowed: 4 or 8; quantize with these bits; the first layer has"
        " a setting of its own",
        "second: 3-bit weights; allowed: 4 or 8; quantize with these bits; the first layer has"
        " a setting of its own",
    ]
