"""The published limits of every Akida 1.0 layer, at their edge and beyond."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulator.akida_v1.handmade import CONV, IMAGE, f32, layer


def wide(kind, kernel, shape, filters=2, **fields):
    weights = np.zeros((*kernel, shape[2], filters))
    fields = {"weights_bits": 8 if kind == "InputConvolutional" else 4, **fields}
    return layer(
        kind, weights, shape, threshold=np.zeros(filters), act_step=np.ones(filters), **fields
    )


MAX = {"pool_type": "max"}
ALLOWED = [
    wide("InputConvolutional", (3, 3), (256, 5, 3), 192),
    wide("InputConvolutional", (7, 7), (9, 9, 1), 96, kernel_stride=(3, 3)),
    wide("InputConvolutional", (5, 5), (9, 9, 1), **MAX, pool_size=(1, 2), pool_stride=(1, 2)),
    wide("Convolutional", (1, 1), (4096, 1, 2048)),
    wide("Convolutional", (3, 3), (9, 9, 1), kernel_stride=(2, 2)),
    wide("Convolutional", (7, 7), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(1, 1)),
    wide("Convolutional", (3, 3), (3, 32, 1), pool_type="average"),
    wide("FullyConnected", (1, 1), (1, 1, 57334)),
]
BEYOND = [
    (wide("InputConvolutional", (3, 3), (9, 9, 2)), "2 input channels; allowed: 1 or 3"),
    (wide("InputConvolutional", (3, 3), (257, 9, 1)), "input of 257x9"),
    (wide("InputConvolutional", (3, 3), (9, 4, 1)), "input of 9x4"),
    (wide("InputConvolutional", (4, 4), (9, 9, 1)), "kernel 4x4; sides of 3, 5 or 7"),
    (wide("InputConvolutional", (3, 3), (9, 9, 3), 193), "193 filters; a 3x3 kernel allows 192"),
    (wide("InputConvolutional", (7, 7), (9, 9, 1), 97), "97 filters; a 7x7 kernel allows 96"),
    (wide("InputConvolutional", (3, 3), (9, 9, 1), kernel_stride=(4, 4)), "stride (4, 4)"),
    (wide("InputConvolutional", (3, 3), (9, 9, 1), pool_type="average"), "in the input layer"),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(3, 3), pool_stride=(3, 3)),
        "pooling (3, 3); allowed: 1x2, 2x1, 2x2",
    ),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(2, 2), pool_stride=(1, 1)),
        "pooling stride (1, 1); it must equal the size",
    ),
    (
        wide("InputConvolutional", (3, 3), (9, 9, 1), weights_bits=4),
        "4-bit weights; allowed: 8",
    ),
    (wide("Convolutional", (3, 3), (4097, 1, 1)), "input of 4097x1; at most 4096"),
    (wide("Convolutional", (1, 1), (1, 1, 2049)), "2049 input channels"),
    (wide("Convolutional", (2, 2), (9, 9, 1)), "kernel 2x2; sides of 1, 3, 5, 7"),
    (wide("Convolutional", (5, 5), (9, 9, 1), kernel_stride=(2, 2)), "stride (2, 2)"),
    (wide("Convolutional", (3, 3), (9, 9, 1), padding="valid"), "padding 'valid'"),
    (wide("Convolutional", (3, 3), (9, 9, 1), weights_bits=8), "8-bit weights; allowed: 1, 2, 4"),
    (
        wide("Convolutional", (3, 3), (9, 9, 1), **MAX, pool_size=(3, 3), pool_stride=(2, 2)),
        "2x2, stride 1 or 2",
    ),
    (
        wide("Convolutional", (3, 3), (2, 9, 1), pool_type="average"),
        "global average over 2x9; width 1 to 32, height at least 3",
    ),
    (wide("FullyConnected", (1, 1), (1, 1, 57335)), "57335 inputs; at most 57334"),
    (wide("FullyConnected", (1, 1), (1, 1, 3), weights_bits=8), "8-bit weights"),
    (
        replace(CONV, act_step=f32(1, 2**16)),
        "act_step reaches 65536; the register holds 16 bits",
    ),
    (
        replace(CONV, threshold=np.asarray([0, -(2**19)], np.int32)),
        "threshold reaches 524288; the register holds 19 bits",
    ),
    (replace(IMAGE, act_step=f32(1, 2**20)), "the register holds 20 bits"),
    (
        replace(IMAGE, threshold=np.asarray([0, 2**23], np.int32)),
        "threshold reaches 8388608; the register holds 23 bits",
    ),
]


@pytest.mark.parametrize("made", ALLOWED, ids=lambda made: made.type_label)
def test_the_edge_of_the_chip(made):
    assert list(made.check()) == []
    assert list(made.limits()) == []


@pytest.mark.parametrize(("made", "sentence"), BEYOND, ids=[s[:30] for _, s in BEYOND])
def test_beyond_the_chip(made, sentence):
    assert list(made.check()) == []
    (found,) = made.limits()
    assert sentence in found


def test_registers_at_their_edge():
    edge = np.asarray([-(2**19) + 1, 2**19 - 1], np.int32)
    assert not list(replace(CONV, act_step=f32(1, 2**16 - 1), threshold=edge).limits())
    last = replace(CONV, activation=False, act_step=f32(1, 2**20))
    assert not list(last.limits())  # the last layer's are in software


@pytest.mark.parametrize(("size", "beyond"), [((1, 1), True), ((3, 3), False)])
def test_a_separable_convolution_reads_a_map(size, beyond):
    made = layer(
        "SeparableConvolutional",
        np.zeros((3, 3, 2, 1)),
        (*size, 2),
        weights_pw=np.zeros((1, 1, 2, 2), np.int8),
        threshold=(0, 0),
        act_step=(1, 1),
    )
    assert bool(list(made.limits())) == beyond
    assert list(replace(made, weights_bits=2).limits()) == list(made.limits())
    assert "1-bit weights; allowed: 2, 4" in list(replace(made, weights_bits=1).limits())
