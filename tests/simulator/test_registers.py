"""Layers with invalid registers: one sentence for each, all at once."""

import dataclasses

import numpy as np
import pytest

from simulator import Program, ProgramError
from tests import builders


def wrong(layer, **changes):
    """Return the problems of a layer with changed registers."""
    with pytest.raises(ProgramError) as caught:
        Program(
            name="model",
            target="akida_v2",
            input_shape=layer.input_shapes[0],
            input_dtype="int8",
            output_shape=layer.output_shape,
            layers=(dataclasses.replace(layer, **changes),),
        )
    return str(caught.value)


FILTERS = np.zeros(4, np.uint8)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weights": np.zeros((3, 3, 3, 4), np.float32)}, "weights holds float32 values; it must"),
        (
            {"weights": np.zeros((3, 3, 2, 4), np.int8)},
            "weights has shape (3, 3, 2, 4); this layer",
        ),
        ({"weight_bits": 4}, "weights reaches -128..120; the register holds -8..7"),
        ({"weight_bits": 9}, "weight_bits is 9; a weight register holds 1 to 8 bits"),
        ({"bias": np.array([0, 0, 0, 300])}, "bias reaches 0..300; the register holds -128..127"),
        ({"bias_shift": FILTERS[:3]}, "bias_shift has shape (3,); this layer needs (4,)"),
        ({"input_shift": FILTERS}, "input_shift has shape (4,); this layer needs (3,)"),
        ({"input_shift": np.array([0, 0, 33])}, "input_shift reaches 0..33; the register holds"),
        ({"buffer_bits": 40}, "buffer_bits is 40; allowed: 8 to 33"),
        ({"activation": "tanh"}, "activation is 'tanh'; allowed: none, relu, lut"),
        (
            {"activation": "lut"},
            "lut_values and activation 'lut' must be given together; found one",
        ),
        ({"max_value": FILTERS}, "max_value and max_value_shift must be given together; found one"),
        (
            {"lut_values": np.zeros(7, np.int16)},
            "lut_values and activation 'lut' must be given together",
        ),
        (
            {"activation_shift": FILTERS},
            "activation_shift and activation 'lut' must be given together",
        ),
        ({"activation_bits": 40}, "activation_bits is 40; allowed: 1 to 16"),
        (
            {"pool_size": (2, 2)},
            "pool_size and pool_stride must be given together; found one of them",
        ),
        (
            {"pool_size": (6, 6), "pool_stride": (1, 1)},
            "pooling (6, 6) is larger than its input of 5x6 (padding 'valid')",
        ),
        ({"pool_size": (2, 0), "pool_stride": (1, 1)}, "pooling (2, 0) with stride (1, 1); both"),
        ({"output_scales": FILTERS, "output_shift": None}, "output_scales without output_shift"),
        ({"output_shift": np.full(4, 128)}, "output_shift reaches 128..128; the register holds"),
        ({"output_bits": 33}, "output_bits is 33; allowed: 1 to 32"),
        ({"output_bits": 32, "output_signed": False}, "output_bits is 32; allowed: 1 to 31"),
        ({"post_op_buffer_bits": 64}, "post_op_buffer_bits is 64; allowed: 8 to 32"),
        (
            {"input_shapes": ((5, 6),)},
            "input_shapes is ((5, 6),); needs tuple[tuple[int, int, int]",
        ),
        ({"input_shapes": ((5, 6, 3),) * 2}, "input_shapes is ((5, 6, 3), (5, 6, 3)); needs"),
        ({"input_shapes": ((0, 6, 3),)}, "input_shapes is ((0, 6, 3),); needs height, width"),
        ({"kernel_stride": (1, 0)}, "kernel (3, 3) with stride (1, 0); both must be pairs of"),
        ({"padding": "full"}, "kernel padding is 'full'; allowed: same, valid"),
    ],
)
def test_registers_that_do_not_fit(changes, sentence):
    layer = builders.neural_layer("Conv2D", np.random.default_rng(0))
    assert f"model: not a valid akida_v2 program:\n  - layer: {sentence}" in wrong(layer, **changes)


def test_a_kernel_larger_than_its_input_is_refused():
    rng = np.random.default_rng(0)
    layer = builders.neural_layer("Conv2D", rng, input_shape=(2, 6, 3))
    sentence = "kernel (3, 3) is larger than its input of 2x6 (padding 'valid')"
    assert sentence in wrong(layer, padding="valid")


def test_other_layers_name_the_invalid_register():
    rng = np.random.default_rng(0)
    layer = builders.neural_layer("BufferTempConv", rng, fifo_size=1)
    empty = np.zeros((1, 1, 0, 4), np.int8)
    assert "fifo_size is 0; the FIFO holds" in wrong(layer, fifo_size=0, weights=empty)
    add = builders.add_layer(rng)
    assert "Add takes two inputs of one shape; found ((5, 6, 3), (5, 6, 2))" in wrong(
        add, input_shapes=((5, 6, 3), (5, 6, 2))
    )
    assert "a_shift has shape (2,)" in wrong(add, a_shift=FILTERS[:2])
    assert "buffer_bits is 2; allowed: 8 to 33" in wrong(add, buffer_bits=2)
    join = builders.concatenate_layer(input_shapes=((1, 2, 3), (1, 2, 3)))
    assert "Concatenate takes two inputs of one height and width" in wrong(
        join, input_shapes=((1, 2, 3), (2, 1, 3))
    )
    quantizer = builders.quantizer_layer(rng)
    for scale, sentence in ((3.0, "not all powers of two"), (-1.0, "above zero")):
        assert sentence in wrong(quantizer, scales=np.full(3, scale, np.float32))
    assert "zero_points reaches 0..256" in wrong(quantizer, zero_points=np.array([0, 0, 256]))
    assert "output_bits is 40; allowed: 1 to 16" in wrong(quantizer, output_bits=40)
    dequantizer = builders.dequantizer_layer(rng, inputs=())
    for scales, sentence in (
        (np.ones(4), "scales is float64 of shape (4,); needs float32 of (4,)"),
        (np.array([1, 1, 1, np.nan], np.float32), "needs finite numbers above zero"),
    ):
        assert sentence in wrong(dequantizer, scales=scales)
    assert "input_bits is -1; allowed: 1 to 16" in wrong(builders.input_data(), input_bits=-1)
    image = builders.neural_layer("InputConv2D", rng)
    assert "padding_value has shape (4,)" in wrong(image, padding_value=FILTERS)


def test_all_refusals_are_listed_at_once():
    rng = np.random.default_rng(0)
    layer = builders.neural_layer("Conv2D", rng)
    message = wrong(layer, buffer_bits=40, output_bits=99, bias=FILTERS[:1])
    assert message.count("\n  - ") == 3
    second = dataclasses.replace(layer, name="second", inputs=("layer",), weight_bits=1)
    with pytest.raises(ProgramError) as caught:
        builders.program([dataclasses.replace(layer, buffer_bits=40), second])
    assert "- layer: buffer_bits" in str(caught.value)
    assert "- second: weights" in str(caught.value)
