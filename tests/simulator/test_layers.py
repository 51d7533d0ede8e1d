"""Hand-written examples of every Akida 2.0 layer type."""

import dataclasses

import numpy as np
import pytest

from simulator.akida_v2 import (
    Add,
    BufferTempConv,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    DepthwiseBufferTempConv,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    Dequantizer,
    InputConv2D,
    InputData,
    Quantizer,
)
from tests.simulator.handmade import conv, i8, image, run, u8, vector

PIXELS = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_conv2d_holds_its_kernel_flipped():
    assert run(conv(Conv2D, [[1, 0], [0, 0]], (3, 3)), image(PIXELS))[0] == [[5, 6], [8, 9]]
    assert run(conv(InputConv2D, [[1, 0], [0, 0]], (3, 3)), image(PIXELS))[0] == [[1, 2], [4, 5]]
    assert run(conv(DepthwiseConv2D, [[1, 0], [0, 0]], (3, 3)), image(PIXELS))[0] == [
        [5, 6],
        [8, 9],
    ]


def test_same_padding_puts_the_odd_pixel_at_the_bottom_and_right():
    ones = [[1, 1], [1, 1]]
    got, _ = run(conv(Conv2D, ones, (3, 3), padding="same"), image(PIXELS))
    assert got == [[12, 16, 9], [24, 28, 15], [15, 17, 9]]
    ones = [[1, 1, 1]] * 3
    layer = conv(Conv2D, ones, (4, 4), padding="same", kernel_stride=(2, 2))
    # 4 pixels, kernel 3, stride 2: one pixel of padding, after.
    assert run(layer, image(np.arange(16).reshape(4, 4)))[0] == [[45, 39], [66, 50]]


def test_padding_value_surrounds_the_image_unshifted():
    layer = conv(
        InputConv2D, [[1, 1, 1]] * 3, (1, 1), padding="same", padding_value=np.array([100])
    )
    assert run(layer, image([[7]]))[0] == [[807]]


def test_same_padding_is_zero_whatever_the_input_shift():
    layer = conv(Conv2D, [[1, 1, 1]] * 3, (1, 1), padding="same", input_shift=u8(3))
    assert run(layer, image([[7]]))[0] == [[56]]


def test_depthwise_keeps_channels_apart():
    layer = DepthwiseConv2D(
        name="depthwise",
        inputs=(),
        input_shapes=((1, 1, 3),),
        weights=np.array([1, 2, -3], np.int8).reshape(1, 1, 3, 1),
    )
    assert run(layer, vector(5, 6, 7))[0] == [5, 12, -21]


def test_transposed_convolution_does_not_flip_its_kernel():
    kernel = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    layer = conv(Conv2DTranspose, kernel, (1, 1), kernel_stride=(2, 2), padding="valid")
    assert run(layer, image([[1]]))[0] == kernel
    # "same" removes the overhang of a stride-2 kernel of 3: one row and column at the far end.
    layer = conv(Conv2DTranspose, kernel, (2, 1), kernel_stride=(2, 2), padding="same")
    assert run(layer, image([[1], [10]]))[0] == [[1, 2], [4, 5], [17, 28], [40, 50]]
    layer = conv(DepthwiseConv2DTranspose, kernel, (2, 1), kernel_stride=(2, 2), padding="same")
    assert run(layer, image([[1], [10]]))[0] == [[1, 2], [4, 5], [17, 28], [40, 50]]


def add(**registers):
    shape = (1, 1, 1)
    return Add(name="add", inputs=("a", "b"), input_shapes=(shape, shape), **registers)


def test_add_aligns_by_left_shifts():
    assert run(add(a_shift=u8(0), b_shift=u8(3)), vector(1), vector(-5))[0] == [[-39]]
    assert run(add(), vector(1), vector(-5))[0] == [[-4]]


def test_add_rounds_halves_up_and_saturates():
    for a, b, wanted in ((2, 1, 2), (-2, -1, -1), (127, 127, 127), (-128, -128, -128)):
        layer = add(output_shift=i8(-1))
        assert run(layer, vector(a), vector(b))[0] == [[wanted]]
    assert run(add(output_shift=i8(0)), vector(127), vector(1)) == ([[127]], {"output": 1})
    assert run(add(output_shift=i8(0)), vector(-128), vector(-1))[0] == [[-128]]


def test_each_operand_of_add_saturates_before_the_sum():
    layer = add(a_shift=u8(20), b_shift=u8(20), buffer_bits=24)
    assert run(layer, vector(100), vector(-100))[0] == [[-1]]


def test_add_of_a_tensor_with_itself():
    layer = add(a_shift=u8(1), b_shift=u8(0))
    assert run(layer, vector(5), vector(5))[0] == [[15]]


def test_concatenate_puts_channels_side_by_side():
    layer = Concatenate(name="concatenate", inputs=("a", "b"), input_shapes=((1, 2, 1), (1, 2, 2)))
    a, b = np.array([[[[1], [2]]]]), np.array([[[[3, 4], [5, 6]]]])
    assert run(layer, a, b)[0] == [1, 3, 4, 2, 5, 6]


def test_input_data_passes_integers():
    layer = InputData(name="data", inputs=(), input_shapes=((1, 1, 3),), input_signed=True)
    assert run(layer, np.array([-128, 0, 127], np.int8).reshape(1, 1, 1, 3))[0] == [-128, 0, 127]


def quantizer(scale=1.0, **registers):
    return Quantizer(
        name="quantizer",
        inputs=(),
        input_shapes=((1, 1, 1),),
        scales=np.array([scale], np.float32),
        **registers,
    )


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.5, 0),
        (1.5, 2),
        (2.5, 2),
        (-0.5, 0),
        (-1.5, -2),
        (-2.5, -2),
        (0.0, 0),
        (126.5, 126),
        (127.5, 127),
        (1e30, 127),
        (-128.4, -128),
        (-1e30, -128),
    ],
)
def test_quantizer_rounds_halves_to_even_and_saturates(value, wanted):
    assert run(quantizer(), np.full((1, 1, 1, 1), value, np.float32))[0] == [[wanted]]


def test_quantizer_of_the_largest_float():
    largest = np.finfo(np.float32).max
    assert run(quantizer(128.0), np.full((1, 1, 1, 1), largest))[0] == [[127]]
    assert run(quantizer(128.0), np.full((1, 1, 1, 1), -largest))[0] == [[-128]]


@pytest.mark.parametrize(
    ("value", "clipped", "unclipped"),
    [
        (0.0, 30, 30),
        (-20.0, 10, 10),
        (-30.5, 0, 0),
        (-40.0, 0, -10),
        (-1e9, 0, -226),
        (240.0, 255, 255),
    ],
)
def test_zero_points_and_values_below_zero(value, clipped, unclipped):
    layer = quantizer(zero_points=u8(30), output_signed=False)
    x = np.full((1, 1, 1, 1), value, np.float32)
    got, tally = run(layer, x)
    assert got == [[clipped]]
    assert ("input below zero" in tally) == (unclipped < 0)
    assert run(dataclasses.replace(layer, clip_at_zero=False), x)[0] == [[unclipped]]


def test_dequantizer_multiplies_in_float32():
    layer = Dequantizer(
        name="dequantizer",
        inputs=(),
        input_shapes=((1, 1, 2),),
        scales=np.array([0.1, 0.25], np.float32),
    )
    got = layer.run(np.array([[[[3, -7]]]], np.int32))
    assert got.dtype == np.float32
    # The product of the float32 nearest 0.1, rounded once.
    assert got.ravel().tolist() == [float(np.float32(3) * np.float32(0.1)), -1.75]
    # 2**24 + 1 is not a float32: it becomes its even neighbour first.
    got = layer.run(np.array([[[[0, (1 << 24) + 1]]]], np.int64))
    assert got.ravel().tolist() == [0.0, float(1 << 22)]


def buffered(kind, weights, **registers):
    return kind(
        name="buffered",
        inputs=(),
        input_shapes=((1, 1, 1),),
        weights=np.array(weights, np.int8).reshape(1, 1, -1, 1),
        fifo_size=len(weights),
        **registers,
    )


@pytest.mark.parametrize("kind", [BufferTempConv, DepthwiseBufferTempConv])
def test_the_fifo_is_zero_after_a_reset_and_holds_the_oldest_frame_first(kind):
    layer = buffered(kind, [100, 10, 1])
    frames = np.array([1, 2, 3, 4], np.int32).reshape(4, 1, 1, 1)
    assert layer.run(frames).ravel().tolist() == [1, 12, 123, 234]
    assert layer.run(frames).ravel().tolist() == [1, 12, 123, 234]


@pytest.mark.parametrize("kind", [BufferTempConv, DepthwiseBufferTempConv])
def test_the_fifo_continues_over_calls(kind):
    layer = buffered(kind, [100, 10, 1], input_shift=u8(1), bias=i8(5), bias_shift=u8(0))
    frames = np.array([1, 2, 3, 4], np.int32).reshape(4, 1, 1, 1)
    whole = layer.run(frames)
    assert whole.ravel().tolist() == [7, 29, 251, 473]
    past, parts = None, []
    for frame in frames:
        part, past = layer.step(frame[None], past)
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert past.ravel().tolist() == [3, 4]


def test_a_fifo_of_one_frame_has_no_state():
    layer = buffered(BufferTempConv, [3])
    outputs, past = layer.step(np.array([1, 2]).reshape(2, 1, 1, 1), None)
    assert outputs.ravel().tolist() == [3, 6]
    assert past.shape == (0, 1, 1, 1)


def test_buffered_convolution_mixes_channels_frame_by_frame():
    layer = BufferTempConv(
        name="buffered",
        inputs=(),
        input_shapes=((1, 1, 2),),
        weights=np.array([[1], [10], [100], [0]], np.int8).reshape(1, 1, 4, 1),
        fifo_size=2,
    )
    frames = np.array([[1, 2], [3, 4]]).reshape(2, 1, 1, 2)
    assert layer.run(frames).ravel().tolist() == [100, 321]
