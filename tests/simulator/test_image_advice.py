"""Advice on images of another shape or type."""

import numpy as np
import pytest

from simulator.image_advice import shape_advice, type_advice


@pytest.mark.parametrize(
    ("found", "wanted", "advice"),
    [
        ((8, 6, 1), (8, 6, 1), "x[None]"),
        ((5, 8, 6), (8, 6, 1), "x[..., None]"),
        ((5, 3, 8, 6), (8, 6, 3), "x.transpose(0, 2, 3, 1)"),
        ((5, 32, 6), (32, 1, 6), "x.reshape(-1, 32, 1, 6)"),
        ((5, 490), (49, 10, 1), "x.reshape(-1, 49, 10, 1)"),
        ((5, 1, 32, 1), (32,), "x.reshape(-1, 32)"),
        ((5, 32, 4, 1), (32, 1, 4), "x.reshape(-1, 32, 1, 4)"),
        ((5, 6, 8, 3), (8, 6, 3), ""),  # a reshape would tear the rows apart
        ((5, 9, 9, 1), (8, 6, 1), ""),
        ((5,), (8, 6, 1), ""),
    ],
)
def test_the_advice_makes_images_of_the_wanted_shape(found, wanted, advice):
    given = shape_advice(found, wanted)
    assert given.endswith(advice) and bool(given) == bool(advice)
    if advice:
        x = np.arange(np.prod(found)).reshape(found)
        assert eval(advice, {"x": x}).shape[1:] == wanted


def test_the_advice_makes_images_of_the_wanted_type():
    pixels = np.array([0, 255, 7], np.uint8)
    advice = type_advice(pixels, "int8")
    shifted = eval(advice.partition("0..255: ")[2], {"x": pixels})
    assert shifted.dtype == np.int8 and shifted.tolist() == [-128, 127, -121]
    assert "raw pixels 0..255" in type_advice(np.array([0.5]), "uint8")
    assert type_advice(np.array([0.5]), "int8") == ""
    assert type_advice(np.array([-300]), "int8") == ""
