"""Published limits of every Akida 1.0 layer, at the limit and beyond."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.akida_v1 import InputData, limits
from tests.simulator.akida_v1.handmade import CONV, IMAGE, f32, layer


def wide(kind, kernel, shape, filters=2, **fields):
    weights = np.zeros((*kernel, shape[2], filters))
    fields = {"weights_bits": 8 if kind == "InputConvolutional" else 4, **fields}
    return layer(
        kind, weights, shape, threshold=np.zeros(filters), act_step=np.ones(filters), **fields
    )


MAX = {"pool_type": "max"}
ALLOWED = [
    wide("InputConvolutional", (3, 3), (300, 256, 3), 192),
    wide("InputConvolutional", (7, 7), (9, 9, 1), 96, kernel_stride=(3, 3)),
    wide("InputConvolutional", (5, 5), (9, 9, 1), **MAX, pool_size=(1, 2), pool_stride=(1, 2)),
    wide("Convolutional", (1, 1), (4096, 1, 2048)),
    wide("Convolutional", (3, 3), (9, 9, 1), kernel_stride=(2, 2)),
    wide("Convolutional", (7, 7), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(1, 1)),
    wide("Convolutional", (3, 3), (32, 3, 1), pool_type="average"),
    wide("FullyConnected", (1, 1), (1, 1, 57334)),
]
BEYOND = [
    (wide("InputConvolutional", (3, 3), (9, 9, 2)), "input_channels"),
    (wide("InputConvolutional", (3, 3), (9, 257, 1)), "input_size"),
    (wide("InputConvolutional", (3, 3), (4, 9, 1)), "input_size"),
    (wide("InputConvolutional", (4, 4), (9, 9, 1)), "input_kernel"),
    (wide("InputConvolutional", (3, 3), (9, 9, 3), 193), "input_filters"),
    (wide("InputConvolutional", (7, 7), (9, 9, 1), 97), "input_filters"),
    (wide("InputConvolutional", (3, 3), (9, 9, 1), kernel_stride=(4, 4)), "input_kernel"),
    (wide("InputConvolutional", (3, 3), (9, 9, 1), pool_type="average"), "input_average"),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(3, 3), pool_stride=(3, 3)),
        "input_pooling",
    ),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(1, 1)),
        "input_pooling",
    ),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), weights_bits=4),
        "weight_bits",
    ),
    (wide("Convolutional", (3, 3), (4097, 1, 1)), "map_size"),
    (wide("Convolutional", (1, 1), (1, 1, 2049)), "map_size"),
    (wide("Convolutional", (2, 2), (9, 9, 1)), "kernel_and_stride"),
    (wide("Convolutional", (5, 5), (9, 9, 1), kernel_stride=(2, 2)), "kernel_and_stride"),
    (wide("Convolutional", (3, 3), (9, 9, 1), padding="valid"), "padding"),
    (wide("Convolutional", (3, 3), (9, 9, 1), weights_bits=8), "weight_bits"),
    (
        wide("Convolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(3, 3), pool_stride=(2, 2)),
        "max_pooling",
    ),
    (
        wide("Convolutional", (3, 3), (2, 2, 1), pool_type="average"),
        "global_pooling",
    ),
    (wide("FullyConnected", (1, 1), (1, 1, 57335)), "dense_inputs"),
    (wide("FullyConnected", (1, 1), (1, 1, 3), weights_bits=8), "weight_bits"),
    (
        replace(CONV, act_step=f32(1, 2**16)),
        "step_register",
    ),
    (
        replace(CONV, threshold=np.asarray([0, -(2**19)], np.int32)),
        "threshold_register",
    ),
    (replace(IMAGE, act_step=f32(1, 2**20)), "step_register"),
    (
        replace(IMAGE, threshold=np.asarray([0, 2**23], np.int32)),
        "threshold_register",
    ),
]


def exceeded(layer, consumers=None):
    """Return the names of the limits that a layer exceeds."""
    return [refusal.rule for refusal in limits.exceeded(layer.facts(consumers))]


@pytest.mark.parametrize("made", ALLOWED, ids=lambda made: made.type_label)
def test_layers_at_the_limits(made):
    assert list(made.check()) == []
    assert exceeded(made) == []
    assert list(limits.remarks(made.facts())) == []


@pytest.mark.parametrize(("made", "limit"), BEYOND, ids=[limit for _, limit in BEYOND])
def test_layers_beyond_the_limits(made, limit):
    assert list(made.check()) == []
    assert exceeded(made) == [limit]


@pytest.mark.parametrize("sides", [(2, 9), (9, 2), (33, 3), (3, 33), (2, 33)])
def test_one_reading_of_a_side_is_a_remark(sides):
    made = wide("Convolutional", (3, 3), (*sides, 1), pool_type="average")
    assert exceeded(made) == []
    (remark,) = limits.remarks(made.facts())
    assert remark.found == f"global average over {sides[0]}x{sides[1]}"


def test_a_convolution_follows_a_max_pooling():
    made = wide("Convolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(2, 2))
    for consumers in (None, ("Convolutional",), ("SeparableConvolutional",)):
        assert exceeded(made, consumers) == []
    for consumers in ((), ("FullyConnected",), ("Convolutional", "FullyConnected")):
        assert exceeded(made, consumers) == ["pooling_follower"]


@pytest.mark.parametrize(
    ("bits", "channels", "limit"),
    [(4, 8, None), (1, 3, None), (8, 8, "data_bits"), (8, 3, "image_input")],
)
def test_inputs_of_inner_layers(bits, channels, limit):
    shape = (4, 4, channels)
    made = InputData(name="image", inputs=(), input_shapes=(shape,), input_bits=bits)
    assert exceeded(made, ("FullyConnected",)) == ([] if limit is None else [limit])


def test_registers_at_their_edge():
    edge = np.asarray([-(2**19) + 1, 2**19 - 1], np.int32)
    assert not exceeded(replace(CONV, act_step=f32(1, 2**16 - 1), threshold=edge))
    last = replace(CONV, activation=False, act_step=f32(1, 2**20))
    assert not exceeded(last)  # the last layer's are in software


@pytest.mark.parametrize(("size", "beyond"), [((1, 1), True), ((3, 3), False)])
def test_a_separable_convolution_needs_a_map(size, beyond):
    made = layer(
        "SeparableConvolutional",
        np.zeros((3, 3, 2, 1)),
        (*size, 2),
        weights_pw=np.zeros((1, 1, 2, 2), np.int8),
        threshold=(0, 0),
        act_step=(1, 1),
    )
    assert exceeded(made) == ["separable_input"] * beyond
    assert exceeded(replace(made, weights_bits=2)) == exceeded(made)
    assert "weight_bits" in exceeded(replace(made, weights_bits=1))
