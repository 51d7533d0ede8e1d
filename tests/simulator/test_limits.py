"""Published limits of Akida 2.0: one case that passes and one that fails, for every sentence."""

import dataclasses
import inspect
import re

import numpy as np
import pytest

from simulator.akida_v2 import limits
from tests import builders


def make(kind, **options):
    """Return a small layer within the limits, but for `options`."""
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
    ("Conv2D", {}, {"kernel": (3, 5)}, "kernel 3x5; it must be square"),
    ("Conv2D", {"stride": (2, 2)}, {"stride": (2, 1)}, "stride 2x1; it must be square"),
    ("Conv2D", size(7), size(2), "kernel 2x2; allowed: 1x1, 3x3, 5x5, 7x7"),
    ("DepthwiseConv2D", size(3), size(1), "kernel 1x1; allowed: 3x3, 5x5, 7x7"),
    ("Conv2D", {"stride": (2, 2)}, {"stride": (3, 3)}, "stride 3 with a 3x3 kernel; allowed: 1,"),
    ("Conv2D", size(5), size(5) | {"stride": (2, 2)}, "stride 2 with a 5x5 kernel; allowed: 1,"),
    ("Conv2D", size(1) | {"padding": "valid"}, {"padding": "valid"}, "padding 'valid'; allowed"),
    ("Conv2D", {"weight_bits": 4}, {"weight_bits": 5}, "5-bit weights; allowed: 4, 8"),
    ("Dense1D", {"weight_bits": 4}, {"weight_bits": 2}, "2-bit weights; allowed: 4, 8"),
    ("Conv2DTranspose", {"weight_bits": 8}, {"weight_bits": 6}, "6-bit weights; allowed: 8"),
    ("Conv2D", {"output_bits": 4}, {"output_bits": 11}, "11-bit outputs; allowed: 4, 8"),
    ("Conv2D", {"requantize": False}, {"output_bits": 16}, "16-bit outputs; allowed: 4, 8"),
    (
        "Conv2D",
        {"input_shape": (3, 3, 2048), "filters": 1},
        {"input_shape": (3, 3, 2049), "filters": 1},
        "2049 input channels; at most 2048",
    ),
    ("Conv2D", pool(2, 1), pool(2, 3), "pooling 2x2 with stride 3; allowed: 2x2 stride 1, 2x2"),
    ("Conv2D", pool(2, 2), pool(3, 2), "pooling 3x3 with stride 2; allowed: 2x2 stride 1, 2x2"),
    (
        "Conv2D",
        pool(2, 2),
        {"pool": (2, 1), "pool_stride": (2, 2), "pool_padding": "same"},
        "pooling (2, 1) with stride (2, 2); it must be square",
    ),
    (
        "Conv2D",
        pool(2, 2, activation="relu"),
        pool(2, 2, activation="lut"),
        "max pooling together with a look-up table activation; use ReLU",
    ),
    (
        "Conv2D",
        pool(2, 2, "valid") | size(1),
        pool(2, 2, "valid"),
        "pooling padding 'valid' after a 'same' convolution",
    ),
    (
        "Conv2D",
        {"input_shape": (4096, 1, 1), "filters": 1},
        {"input_shape": (4097, 1, 1), "filters": 1},
        "input of 4097x1; at most 4096 a side",
    ),
    (
        "Conv2D",
        {"input_shape": (11, 13, 1), "global_pool": True},
        {"input_shape": (12, 12, 1), "global_pool": True},
        "global average over 12x12; at most 64 wide and 143 pixels",
    ),
    (
        "Conv2D",
        {"input_shape": (1, 64, 1), "global_pool": True},
        {"input_shape": (1, 65, 1), "global_pool": True},
        "global average over 1x65; at most 64 wide and 143 pixels",
    ),
    ("DepthwiseConv2D", {}, {"global_pool": True}, "global average pooling after a DepthwiseConv"),
    ("InputConv2D", size(4), size(6), "kernel 6x6; allowed: 3x3, 4x4, 5x5, 7x7"),
    ("InputConv2D", {}, {"kernel": (3, 4)}, "kernel 3x4; it must be square"),
    ("InputConv2D", {"stride": (3, 3)}, {"stride": (4, 4)}, "stride 4; a 3x3 kernel allows 1 to 3"),
    (
        "InputConv2D",
        size(7) | {"stride": (6, 6)},
        size(7) | {"stride": (7, 7)},
        "stride 7; a 7x7 kernel allows 1 to 6",
    ),
    (
        "InputConv2D",
        {"input_shape": (384, 5, 1)},
        {"input_shape": (385, 5, 1)},
        "input of 385x5; width at least 5, height 5 to 384",
    ),
    (
        "InputConv2D",
        {"input_shape": (5, 5, 1)},
        {"input_shape": (5, 4, 1)},
        "input of 5x4; width at least 5, height 5 to 384",
    ),
    (
        "InputConv2D",
        {"input_shape": (8, 8, 1)},
        {"input_shape": (8, 8, 2)},
        "2 input channels; allowed: 1 or 3",
    ),
    ("InputConv2D", {"filters": 512}, {"filters": 513}, "513 filters; at most 512"),
    ("InputConv2D", {}, {"weight_bits": 4}, "4-bit weights; the input layer holds 8"),
    ("InputConv2D", pool(3, 2), pool(2, 1), "pooling 2x2 with stride 1; allowed: 2x2 stride 2, 3"),
    ("InputConv2D", EDGE, PADDING, "padding values outside 0..255"),
    ("Conv2DTranspose", size(4), size(5), "kernel 5x5; allowed: 3x3, 4x4"),
    ("Conv2DTranspose", {}, {"stride": (1, 1)}, "stride (1, 1), padding 'same'; allowed: 2 and"),
    ("Conv2DTranspose", {}, {"padding": "valid"}, "stride (2, 2), padding 'valid'; allowed: 2"),
    ("DepthwiseConv2DTranspose", size(3), size(2), "kernel 2x2; allowed: 3x3, 4x4"),
    ("Conv2DTranspose", {}, pool(2, 2), "pooling after a transposed convolution; put a conv"),
    ("Conv2DTranspose", {}, {"global_pool": True}, "pooling after a transposed convolution"),
    (
        "Dense1D",
        {"input_shape": (1, 1, 2048)},
        {"input_shape": (1, 1, 2049)},
        "2049 inputs; at most 2048 (pool or convolve before flattening)",
    ),
    (
        "Dense1D",
        {"activation": "relu"},
        {"activation": "lut"},
        "a look-up table activation after Dense1D; use ReLU",
    ),
    ("Dense1D", {}, {"changes": {"input_value_bits": 7}}, "inputs that saturate after their shift"),
    ("BufferTempConv", {"fifo_size": 2}, {"fifo_size": 1}, "fifo_size 1; allowed: 2 to 10"),
    ("DepthwiseBufferTempConv", {"fifo_size": 10}, {"fifo_size": 11}, "fifo_size 11; allowed: 2"),
    (
        "BufferTempConv",
        {"input_shape": (1, 1, 1), "filters": 2048},
        {"input_shape": (1, 1, 1), "filters": 2049},
        "2049 filters; at most 2048",
    ),
    ("BufferTempConv", {}, {"weight_bits": 4}, "4-bit weights; allowed: 8"),
    ("Add", {}, {"activation": "relu"}, "an activation or pooling directly after Add; put a conv"),
    ("Add", {}, {"global_pool": True}, "an activation or pooling directly after Add; put a conv"),
    ("InputData", {}, {"signed": False}, "unsigned inputs of other than 1 or 3 channels; use int8"),
]


@pytest.mark.parametrize(("kind", "fits", "exceeds", "sentence"), CASES)
def test_limit(kind, fits, exceeds, sentence):
    assert list(make(kind, **fits).limits()) == []
    found = list(make(kind, **exceeds).limits())
    assert any(line.startswith(sentence) for line in found), found


def test_every_sentence_has_a_case():
    """Count the sentences of the module and match each with a case."""
    source = inspect.getsource(limits)
    yielded = re.findall(r'^ +yield f?"(.*)"$', source, re.MULTILINE)
    assert len(yielded) >= 25
    shown = [
        line
        for kind, _, exceeds, sentence in CASES
        for line in make(kind, **exceeds).limits()
        if line.startswith(sentence)
    ]
    for template in yielded:
        pattern = ".*".join(map(re.escape, re.split(r"\{(?:[^{}]|\{[^{}]*\})*\}", template)))
        assert any(re.match(pattern, line) for line in shown), template


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
    assert list(program.limits()) == [
        "first: 5-bit weights; allowed: 4, 8",
        "second: 3-bit weights; allowed: 4, 8",
    ]
