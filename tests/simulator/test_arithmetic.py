"""Hand-written examples of the accumulator and output stage, one corner case each."""

import dataclasses

import numpy as np
import pytest

from simulator.akida_v2 import Conv2D, Dense1D
from tests.simulator.handmade import conv, dense, i8, image, run, u8, vector


@pytest.mark.parametrize(
    ("value", "shift", "wanted"),
    [
        (5, -1, 3),
        (-5, -1, -2),
        (1, -1, 1),
        (-1, -1, 0),
        (3, -2, 1),
        (2, -2, 1),
        (1, -2, 0),
        (-2, -2, 0),
        (-3, -2, -1),
        (-6, -2, -1),
        (-7, -2, -2),
        (0, -9, 0),
        (3, 2, 12),
        (-3, 2, -12),
        (127, -128, 0),
        (-128, -128, 0),
        (-1, 127, -128),
        (1, 127, 127),
        (0, 127, 0),
    ],
)
def test_output_shift_rounds_halves_up(value, shift, wanted):
    got, _ = run(dense([[1]], output_shift=i8(shift)), vector(value))
    assert got == [[wanted]]


@pytest.mark.parametrize(
    ("bits", "signed", "value", "wanted"),
    [
        (8, True, 128, 127),
        (8, True, 127, 127),
        (8, True, -128, -128),
        (8, True, -129, -128),
        (4, True, 8, 7),
        (4, True, -9, -8),
        (4, False, 16, 15),
        (4, False, -1, -1),  # an unsigned container can be negative; only a ReLU clips at zero
        (4, False, -17, -16),
        (16, True, 40000, 32767),
        (1, True, 5, 0),
        (1, True, -5, -1),
    ],
)
def test_outputs_saturate_at_both_ends(bits, signed, value, wanted):
    layer = dense([[1]], output_shift=i8(0), output_bits=bits, output_signed=signed)
    got, tally = run(layer, vector(value))
    assert got == [[wanted]]
    assert tally == ({"output": 1} if wanted != value else {})


def test_output_scales_multiply_before_the_shift():
    # 100 * 200 = 20000, / 512 = 39.06; -100 * 255 = -25500, / 1024 = -24.9
    layer = dense([[1, -1]], output_scales=u8(200, 255), output_shift=i8(-9, -10))
    assert run(layer, vector(100))[0] == [39, -25]


def test_the_scaled_product_saturates():
    layer = dense([[127]], output_scales=u8(255), output_shift=i8(-8), post_op_buffer_bits=20)
    # 127 * 100 * 255 = 3238500 saturates at 2**20 - 1; / 256 = 4096, saturates at 127
    assert run(layer, vector(100)) == ([[127]], {"output product": 1, "output": 1})
    wide = dataclasses.replace(layer, output_bits=16)
    assert run(wide, vector(100))[0] == [[4096]]
    assert run(wide, vector(-100))[0] == [[-4096]]


@pytest.mark.parametrize("sign", [1, -1])
def test_only_the_complete_sum_saturates(sign):
    """Partial sums may exceed the accumulator; only the complete sum saturates."""
    layer = dense([[127], [-127], [1]], buffer_bits=12)
    assert run(layer, vector(sign * 100, sign * 100, sign))[0] == [[sign]]
    got, tally = run(layer, vector(sign * 100, 0, 0))
    assert got == [[2047 if sign > 0 else -2048]]
    assert tally == {"accumulator": 1}


def test_the_accumulator_saturates_before_and_after_the_bias():
    layer = dense([[127]], buffer_bits=12, bias=i8(-100), bias_shift=u8(0))
    assert run(layer, vector(100))[0] == [[2047 - 100]]
    assert run(layer, vector(-100)) == ([[-2048]], {"accumulator": 1})


def test_bias_is_shifted_left_and_saturates_itself():
    assert run(dense([[1]], bias=i8(-3), bias_shift=u8(4)), vector(5))[0] == [[5 - 48]]
    assert run(dense([[1]], bias=i8(-3)), vector(5))[0] == [[2]]
    layer = dense([[1]], buffer_bits=12, bias=i8(-128), bias_shift=u8(20))
    assert run(layer, vector(48)) == ([[-2000]], {"bias": 1})


def test_largest_accumulators_of_28_bits():
    layer = dense(np.full((2, 2), [127, -128]), input_shift=u8(24, 24))
    top, bottom = (1 << 27) - 1, -(1 << 27)
    assert run(layer, vector(127, 127))[0] == [top, bottom]
    assert run(layer, vector(-128, -128))[0] == [bottom, top]


def test_input_shift_aligns_channels_inside_the_accumulator():
    layer = dense([[1], [1]], input_shift=u8(0, 3), buffer_bits=9)
    assert run(layer, vector(1, 5))[0] == [[41]]
    assert run(layer, vector(0, -40)) == ([[-256]], {"input": 1})


def test_flatten_saturates_in_its_narrow_container_only_if_requested():
    layer = dense([[1], [1]], input_shift=u8(0, 2))
    assert run(layer, vector(3, 100))[0] == [[403]]
    narrow = dataclasses.replace(layer, input_value_bits=7)
    assert run(narrow, vector(3, 100)) == ([[130]], {"flatten": 1})
    assert run(narrow, vector(3, -100)) == ([[-125]], {"flatten": 1})


def test_dense_flattens_height_width_channel():
    layer = Dense1D(
        name="dense",
        inputs=(),
        input_shapes=((2, 1, 2),),
        weights=np.array([[1], [10], [100], [0]], np.int8),
    )
    assert run(layer, np.array([[[[1, 2]], [[3, 4]]]]))[0] == [[321]]


def test_an_input_of_zeros_gives_the_rounded_bias():
    layer = dense([[127]], bias=i8(1), bias_shift=u8(0), output_scales=u8(128), output_shift=i8(-8))
    assert run(layer, vector(0))[0] == [[1]]  # 128 / 256 = 1/2, up


@pytest.mark.parametrize(("value", "wanted"), [(-7, 0), (0, 0), (7, 7), (48, 48), (49, 48)])
def test_relu_stops_at_zero_and_at_the_shifted_max_value(value, wanted):
    layer = dense([[1]], activation="relu", max_value=u8(3), max_value_shift=u8(4))
    assert run(layer, vector(value))[0] == [[wanted]]


def test_max_value_saturates_at_33_bits_and_an_absent_one_does_not_bound():
    layer = dense([[1]], activation="relu", max_value=u8(255), max_value_shift=u8(32))
    assert run(layer, vector(100)) == ([[100]], {})
    assert run(dense([[127]], activation="relu"), vector(1 << 19))[0] == [[127 << 19]]
    nothing = dense([[1]], activation="relu", max_value=u8(0), max_value_shift=u8(0))
    assert run(nothing, vector(9))[0] == [[0]]


def test_look_up_table_runs_from_the_most_negative_index():
    layer = dense(
        [[1]],
        activation="lut",
        activation_bits=3,
        activation_scales=u8(128),
        activation_shift=i8(-8),
        lut_values=np.array([40, 30, 20, 10, 0, 1, 2, 3], np.int16),
    )
    # value / 2, halves up: -8 -> -4, -7 -> -3, -1 -> 0, 0 -> 0, 5 -> 3; 100 saturates at 3
    for value, wanted in ((-8, 40), (-7, 30), (-1, 0), (0, 0), (5, 3), (100, 3), (-100, 40)):
        assert run(layer, vector(value))[0] == [[wanted]]
    requantized = dataclasses.replace(layer, output_shift=i8(-2), output_scales=u8(2))
    assert run(requantized, vector(-8))[0] == [[20]]
    assert run(layer, vector(100))[1] == {"activation": 1}


def test_max_pool_comes_before_the_activation_and_reads_accumulators():
    layer = conv(Conv2D, [[-1]], (2, 2), pool_size=(2, 2), pool_stride=(2, 2), activation="relu")
    # The largest of the negated values, not the negated largest.
    assert run(layer, image([[5, 6], [7, 300]]))[0] == [[0]]
    assert run(layer, image([[5, -6], [-7, 300]]))[0] == [[7]]
    table = dataclasses.replace(
        layer,
        activation="lut",
        activation_bits=4,
        activation_shift=i8(0),
        lut_values=np.arange(8, -8, -1, dtype=np.int16),
    )
    # A falling table: pooling after it would choose the smallest accumulator.
    assert run(table, image([[0, -1], [-2, -3]]))[0] == [[-3]]


def test_padding_never_is_the_maximum_of_a_pool():
    layer = conv(Conv2D, [[1]], (3, 3), pool_size=(2, 2), pool_stride=(2, 2), pool_padding="same")
    got, _ = run(layer, image([[-9, -8, -7], [-6, -5, -4], [-3, -2, -1]]))
    assert got == [[-5, -4], [-2, -1]]


def test_global_average_is_a_sum_of_activations():
    layer = conv(Conv2D, [[1]], (2, 2), activation="relu", global_pool=True)
    assert run(layer, image([[10, -20], [30, 1]]))[0] == [[41]]
    mean = dataclasses.replace(layer, output_scales=u8(128), output_shift=i8(-9))
    assert run(mean, image([[10, -20], [30, 2]]))[0] == [[11]]  # 42 / 4 = 10.5, up
    aligned = dataclasses.replace(layer, global_pool_shift=u8(3))
    assert run(aligned, image([[10, -20], [30, 1]]))[0] == [[328]]


@pytest.mark.parametrize(("sign", "wanted"), [(1, (1 << 32) - 1), (-1, -(1 << 32))])
def test_global_sum_saturates_at_33_bits(sign, wanted):
    layer = conv(Conv2D, [[127]], (8, 8), global_pool=True)
    got, tally = run(layer, np.full((1, 8, 8, 1), sign * 1_000_000, np.int32))
    assert got == [[wanted]]
    assert tally == {"global sum": 1}
