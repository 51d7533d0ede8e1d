"""Images of another scale than a program expects give a warning, others do not."""

import sys

import numpy as np
import pytest

from simulator.akida_v2 import Quantizer
from simulator.errors import ProgramError
from simulator.image_scale import expected_range, input_warning, range_problem
from simulator.program import Program
from simulator.serving import ServedProgram
from tests.builders import dequantizer_layer, input_data
from tests.builders import program as make_program

RNG = np.random.default_rng(0)


def float_program(scale, *, zero=None, bits=8, signed=None):
    signed = zero is None if signed is None else signed
    shape = (4, 4, 2)
    quantizer = Quantizer(
        name="quantizer",
        inputs=(),
        input_shapes=(shape,),
        scales=np.full(2, scale, np.float32),
        zero_points=None if zero is None else np.full(2, zero, np.int16),
        output_bits=bits,
        output_signed=signed,
    )
    last = dequantizer_layer(RNG, inputs=("quantizer",), input_shape=shape)
    return Program(
        name="net",
        target="akida_v2",
        input_shape=shape,
        input_dtype="float32",
        output_shape=shape,
        layers=(quantizer, last),
    )


def uniform(low, high, count=6):
    return RNG.uniform(low, high, (count, 4, 4, 2)).astype(np.float32)


UNSIGNED, SIGNED = float_program(1.0, zero=0), float_program(128.0)
SHIFTED = float_program(128.0, zero=128)
"""Ranges 0 to 255, -1 to 0.99, and -1 to 0.99 by a zero point."""


@pytest.mark.parametrize(
    ("program", "low", "high"),
    [(UNSIGNED, 0, 255), (SIGNED, -1, 127 / 128), (SHIFTED, -1, 127 / 128)],
)
def test_the_calibrated_range_is_read_from_the_registers(program, low, high):
    found = expected_range(program)
    np.testing.assert_array_equal(found.low, [low] * 2)
    np.testing.assert_array_equal(found.high, [high] * 2)
    # At both ends of the range, and beyond, the output is the first or the last level.
    ends = np.float32([low - 9, low, high, high + 9])[:, None, None, None]
    levels = program.layers[0].run(np.broadcast_to(ends, (4, 4, 4, 2)))[:, 0, 0, 0]
    assert levels[0] == levels[1] and levels[2] == levels[3] and levels[2] - levels[1] == 255


@pytest.mark.parametrize(
    ("program", "images", "texts"),
    [
        (UNSIGNED, uniform(0, 1), ("values from", "far inside the calibrated range (0 to 255)")),
        (UNSIGNED, uniform(-255, 0), ("beyond the calibrated range",)),
        (UNSIGNED, uniform(300, 500), ("100% of them beyond",)),
        (SIGNED, uniform(0, 255), ("of them beyond the calibrated range (-1 to 0.9922)",)),
        (SHIFTED, uniform(-128, 127), ("of them beyond",)),
        (SIGNED, uniform(-0.001, 0.001), ("far inside",)),
    ],
)
def test_another_scale_is_a_warning(program, images, texts):
    found = input_warning(program, images)
    assert found.startswith("net: images have values from ")
    for text in texts:
        assert text in found


@pytest.mark.parametrize(
    ("program", "images"),
    [
        (UNSIGNED, uniform(0, 255)),
        (UNSIGNED, uniform(0, 30)),
        (UNSIGNED, uniform(0, 260)),
        (UNSIGNED, np.zeros((2, 4, 4, 2), np.float32)),
        (SIGNED, uniform(-1, 1)),
        (SIGNED, uniform(0, 1)),
        (SHIFTED, uniform(-1.004, -1)),
        (SHIFTED, uniform(0, 0.1)),
    ],
)
def test_ordinary_images_give_no_warning(program, images):
    assert input_warning(program, images) is None


@pytest.mark.parametrize(
    ("dtype", "low", "high", "warned"),
    [
        ("uint8", 0, 255, False),
        ("uint8", 0, 16, False),
        ("uint8", 0, 2, False),
        ("uint8", 0, 1, True),
        ("int8", -1, 0, False),
        ("int8", -5, 5, False),
    ],
)
def test_bytes_of_0_and_1_give_a_warning(dtype, low, high, warned):
    signed = dtype == "int8"
    layers = [
        input_data(signed=signed),
        dequantizer_layer(RNG, inputs=("data",), input_shape=(5, 6, 3)),
    ]
    images = RNG.integers(low, high, (3, 5, 6, 3), dtype, endpoint=True)
    assert bool(input_warning(make_program(layers, input_dtype=dtype), images)) == warned


def test_the_served_model_logs_the_warning(caplog):
    served = ServedProgram(UNSIGNED)
    served.predict(uniform(0, 255))
    assert not caplog.records
    served.predict(np.round(uniform(0, 1)))  # dark pixels, or not
    assert "far inside the calibrated range" in caplog.text


def test_the_served_model_refuses_divided_pixels(monkeypatch):
    # Where MLflow is imported, its server's exception is raised instead.
    monkeypatch.delitem(sys.modules, "mlflow.exceptions", raising=False)
    served = ServedProgram(UNSIGNED)
    with pytest.raises(ProgramError, match="give them undivided"):
        served.predict(uniform(0, 1))
    assert ServedProgram(SIGNED).predict(uniform(0, 1)).shape == (6, 4, 4, 2)


def test_wide_integers_have_no_expected_range():
    layers = [input_data(bits=16), dequantizer_layer(RNG, inputs=("data",), input_shape=(5, 6, 3))]
    assert expected_range(make_program(layers, input_dtype="int16")) is None
    assert range_problem(uniform(0, 1), None) is None
