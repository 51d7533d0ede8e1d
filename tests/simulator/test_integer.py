"""Integer arithmetic compared with unbounded integers and fractions, exhaustively if small."""

import math
from fractions import Fraction

import numpy as np
import pytest

from simulator.integer import requantize, round_shift, saturate, shift_left

INT16 = np.arange(-(1 << 15), 1 << 15)
EXACT = INT16.astype(object)
# Around every power of two, both signs, up to the 40 bits that the functions promise.
CORNERS = np.array(
    sorted({s * (1 << n) + d for n in range(40) for d in (-2, -1, 0, 1, 2) for s in (1, -1)})
)


def exact_round_shift(values, shift):
    """Return ``floor(v * 2**shift + 1/2)`` in unbounded integers; `values` are objects."""
    if shift >= 0:
        return values * 2**shift
    return (2 * values + 2**-shift) // 2 ** (1 - shift)


def clip(values, bits):
    return np.minimum(np.maximum(values, -(2**bits)), 2**bits - 1)


def test_the_exact_formula_is_rounding_half_up():
    values = np.arange(-40, 41).astype(object)
    for shift in (-4, -3, -2, -1, 0, 1):
        wanted = [math.floor(Fraction(v) * Fraction(2) ** shift + Fraction(1, 2)) for v in values]
        assert exact_round_shift(values, shift).tolist() == wanted


@pytest.mark.parametrize("bits", range(16))
def test_saturate_every_int16(bits):
    np.testing.assert_array_equal(saturate(INT16, bits), clip(EXACT, bits).astype(int))


@pytest.mark.parametrize("bits", [1, 7, 16, 27, 31, 32, 33])
def test_saturate_corners(bits):
    np.testing.assert_array_equal(saturate(CORNERS, bits), clip(CORNERS.astype(object), bits))


def test_saturate_counts_what_it_clips():
    counted = []
    saturate(np.array([-9, -8, 0, 7, 8, 9]), 3, "output", lambda *said: counted.append(said))
    saturate(np.array([-8, 7]), 3, "output", lambda *said: counted.append(said))
    assert counted == [("output", 3)]


def test_saturate_an_empty_array():
    assert saturate(np.zeros((0, 3), np.int64), 7).shape == (0, 3)


@pytest.mark.parametrize("shift", range(-18, 13))
def test_round_shift_every_int16(shift):
    for bits in (7, 15):
        wanted = clip(exact_round_shift(EXACT, shift), bits).astype(int)
        got = saturate(round_shift(INT16, np.array(shift), bits), bits)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("bits", [1, 3, 4, 7, 8, 10, 13, 15, 16, 27, 31, 32])
def test_round_shift_corners_of_every_shift_register(bits):
    exact = CORNERS.astype(object)
    for shift in range(-128, 128):
        wanted = clip(exact_round_shift(exact, shift), bits)
        got = saturate(round_shift(CORNERS, np.array(shift), bits), bits)
        np.testing.assert_array_equal(got, wanted)


def test_round_shift_takes_one_shift_per_channel():
    values = np.array([[5, 5, 5, 5], [-5, -5, -5, -5]])
    got = round_shift(values, np.array([-2, -1, 0, 1]), 15)
    np.testing.assert_array_equal(got, [[1, 3, 5, 10], [-1, -2, -5, -10]])


def test_halves_round_up_on_both_sides_of_zero():
    values = np.array([-6, -5, -3, -2, -1, 0, 1, 2, 3, 5, 6])
    got = round_shift(values, np.array(-2), 7)
    np.testing.assert_array_equal(got, [-1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize("shift", range(0, 33))
def test_shift_left_every_int16(shift):
    np.testing.assert_array_equal(shift_left(INT16, np.array(shift)), EXACT * 2**shift)


def test_shift_left_refuses_overflow_of_int64():
    np.testing.assert_array_equal(shift_left(np.array([-(1 << 32)]), np.array([29])), [-(1 << 61)])
    for value in (1 << 32, -(1 << 32)):
        with pytest.raises(OverflowError, match="a left shift by 31 of 4294967296"):
            shift_left(np.array([value]), np.array([31]))
    with pytest.raises(OverflowError, match="a left shift by 32 of 2147483648"):
        shift_left(np.array([-(1 << 31)], np.int32), np.array([32]))


@pytest.mark.parametrize("scale", [0, 1, 127, 128, 200, 255, 65535])
@pytest.mark.parametrize("value_bits", [1, 3, 4, 7, 10, 15, 31])
def test_requantize(scale, value_bits):
    # Accumulators have 33 bits at most; products saturate at 32 bits and a sign.
    potentials = CORNERS[np.abs(CORNERS) <= 1 << 32]
    products = clip(potentials.astype(object) * scale, 32)
    for shift in (*range(-45, 5), -128, 127):
        got = requantize(
            potentials,
            np.array(scale, np.uint16),
            np.array(shift, np.int8),
            value_bits=value_bits,
            buffer_bits=32,
        )
        assert got.dtype == np.int32
        wanted = clip(exact_round_shift(products, shift), value_bits)
        np.testing.assert_array_equal(got, wanted.astype(np.int64))


def test_requantize_without_scales_multiplies_by_one():
    potentials = np.array([-129, -128, -127, -1, 0, 1, 126, 127, 128], np.int64)
    got = requantize(potentials, None, np.array(-1), value_bits=6, buffer_bits=8)
    np.testing.assert_array_equal(got, [-64, -64, -63, 0, 0, 1, 63, 63, 63])


def test_requantize_names_what_saturated():
    counted = {}
    requantize(
        np.array([1 << 20, 1, 0]),
        np.array(255, np.uint8),
        np.array(0),
        value_bits=7,
        buffer_bits=24,
        stage="output",
        tally=counted.__setitem__,
    )
    assert counted == {"output product": 1, "output": 2}
