"""fit_registers on hand-written examples of steps and thresholds beyond their registers."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.chips.akida_v1 import CHIP, fit_registers
from simulator import Program, simulate
from simulator.akida_v1 import Convolutional, FullyConnected, InputConvolutional
from tests.pipeline.chips.quantized_models import (
    FLATTEN,
    GAP,
    RELU,
    conv,
    dense,
    images,
    quantized,
    separable,
)

INPUT, INNER = 2**20 - 1, 2**16 - 1
"""Largest steps of the input layer and of the others."""


def first(step, threshold, *, act_bits=4):
    filters = len(step)
    return InputConvolutional(
        name="first",
        inputs=(),
        input_shapes=((2, 2, 1),),
        weights=np.ones((1, 1, 1, filters), np.int8),
        weights_bits=8,
        threshold=np.asarray(threshold, np.int32),
        act_step=np.asarray(step, np.float32),
        act_bits=act_bits,
    )


def second(weights, step=(1,), threshold=(0,)):
    weights = np.asarray(weights, np.int8)
    return Convolutional(
        name="second",
        inputs=("first",),
        input_shapes=((2, 2, weights.shape[2]),),
        weights=weights,
        weights_bits=4,
        threshold=np.asarray(threshold, np.int32),
        act_step=np.asarray(step, np.float32),
    )


def last(shape, weights, source="second"):
    return FullyConnected(
        name="last",
        inputs=(source,),
        input_shapes=(shape,),
        weights=np.asarray(weights, np.int8).reshape(1, 1, -1, 1),
        weights_bits=4,
        threshold=np.asarray([2**30], np.int32),
        act_step=np.asarray([2**24], np.float32),
        activation=False,
    )


def program(*layers):
    return Program(
        name="model",
        target="akida_v1",
        input_shape=layers[0].input_shapes[0],
        input_dtype="uint8",
        output_shape=layers[-1].output_shape,
        layers=layers,
    )


def fitted(*layers):
    return fit_registers(program(*layers))


def test_registers_that_fit_are_unchanged():
    made = program(first([INPUT], [-(2**23) + 1]), last((2, 2, 1), [1, 2, 3, 4], "first"))
    found = fit_registers(made)
    assert found.notes == ()
    for before, after in zip(made.layers, found.layers, strict=True):
        assert before is after


def test_a_large_step_shrinks_the_weights_of_its_consumer():
    weights = np.asarray([[7, -7], [6, 5]]).reshape(1, 1, 2, 2)
    inner = second(weights, step=(1, 1), threshold=(0, 0))
    found = fitted(first([4 * INPUT, 10], [100, 7]), inner, last((2, 2, 2), [1] * 8))
    one, two, _ = found.layers
    np.testing.assert_array_equal(one.act_step, np.float32([INPUT, 10]))
    # The threshold moves by half the difference of the steps.
    difference = round(0.5 * (np.float64(np.float32(INPUT)) - np.float64(np.float32(4 * INPUT))))
    np.testing.assert_array_equal(one.threshold, [100 + difference, 7])
    # Channel 0 is divided by 4, rounded down: 7 / 4 -> 1, -7 / 4 -> -2; channel 1 is not.
    np.testing.assert_array_equal(two.weights[0, 0], [[1, -2], [6, 5]])
    assert found.notes == (
        "first: act_step of 1 filters exceeded 1048575; set to it, and the weights of second"
        " shrunk",
    )


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_threshold_moves_on_the_grid_of_the_levels(bits):
    found = fitted(first([2 * INPUT], [0], act_bits=bits), last((2, 2, 1), [1, 2, 3, 4], "first"))
    moved = np.rint(0.5 * (np.float32(INPUT) - np.float32(2 * INPUT))) * 2 ** (4 - bits)
    np.testing.assert_array_equal(found.layers[0].threshold, [moved])


def test_inner_layers_have_narrower_registers():
    weights = np.ones((1, 1, 1, 2))
    found = fitted(
        first([INNER + 1], [2**19]),
        second(weights, step=(2 * INNER, 3), threshold=(0, 0)),
        last((2, 2, 2), [7, 7, 7, 7, 6, 6, 6, 6]),
    )
    assert found.layers[0].act_step == INNER + 1  # the input layer's register holds it
    np.testing.assert_array_equal(found.layers[1].act_step, np.float32([INNER, 3]))
    # Inputs are column-major: the four positions of channel 0 come first.
    np.testing.assert_array_equal(found.layers[2].weights.ravel(), [3, 3, 3, 3, 6, 6, 6, 6])


def test_the_last_layer_is_unchanged():
    found = fitted(first([1], [0]), last((2, 2, 1), [1, 2, 3, 4], "first"))
    assert found.layers[1].threshold == 2**30


@pytest.mark.parametrize("sign", [1, -1])
def test_large_thresholds_are_clipped_with_a_note(sign):
    found = fitted(first([1, 1], [sign * 2**23, 5]), last((2, 2, 2), [1, 2, 3, 4] * 2, "first"))
    np.testing.assert_array_equal(found.layers[0].threshold, [sign * (2**23 - 1), 5])
    assert found.notes == ("first: 1 thresholds exceeded 8388607 and were clipped; outputs change",)


def test_conversion_fits_only_when_asked():
    layers = [conv(4), RELU, separable(3), GAP, RELU, dense()]
    model = quantized(layers, "cnn2snn", weight_bits=8)
    plain = convert(model, "akida_v1")
    beyond = list(plain.limits())
    assert any("act_step reaches" in line for line in beyond)
    fitted_program = convert(model, "akida_v1", fit_registers=True)
    assert not any("reaches" in line for line in fitted_program.limits())
    assert len(fitted_program.notes) > len(plain.notes)
    assert CHIP.fit is fit_registers
    assert simulate(fitted_program, images(3)).shape == (3, 3)


def test_a_separable_layer_shrinks_its_depthwise_kernel():

    model = quantized([conv(4), RELU, separable(3), RELU, FLATTEN, dense()], "cnn2snn")
    made = convert(model, "akida_v1")
    one, two, three = made.layers
    one = replace(one, act_step=np.float32([2 * INPUT, 1, 1, 1]))
    made = fit_registers(replace(made, layers=(one, two, three)))
    expected = two.weights.astype(np.float64)
    expected[:, :, 0] = np.floor(expected[:, :, 0] / 2)
    np.testing.assert_array_equal(made.layers[1].weights, expected)
    np.testing.assert_array_equal(made.layers[1].weights_pw, two.weights_pw)
