"""Explicit paddings and constant channels, from a Keras file to both chips."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.config.sections import Calibration, Quantization
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from pipeline.migration import migrate
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.graph.chains import chain

CASES = Path(__file__).parents[4] / "shared" / "cases"
SHARED = pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases")
FILES = {
    "M03_gamma_zero": "g0b1.keras",
    "M04_padding_is_same": "mini.keras",
    "M05_padding_before_pooling": "relu01.keras",
}
OPTIONS = {
    "akida_v1": {"scheme": "cnn2snn", "weight_bits": 4, "activation_bits": 4},
    "akida_v2": {"scheme": "quantizeml"},
}
RELU, DENSE = ("ReLU", {"max_value": 6.0}), ("Dense", {"units": 4})
FIRST = ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"})


def program_of(graph, target):
    options = Quantization(
        **OPTIONS[target], calibration=Calibration(source="random", samples=8, batch_size=8)
    )
    return convert(quantize(graph, random_images(graph, 8), options), target)


@SHARED
@pytest.mark.parametrize("target", OPTIONS)
@pytest.mark.parametrize("case", FILES)
def test_cases_reach_both_chips(case, target):
    graph = load_model(CASES / case / FILES[case])
    assert check(graph, target).verdict == "compatible"
    images = random_images(graph, 64)
    expected = forward(graph, images)
    found = simulate(program_of(graph, target), images)
    # Four bits lose more than eight; a misplaced border or constant destroys the output.
    least = 0.9 if target == "akida_v1" else 0.99
    assert np.corrcoef(np.ravel(found), np.ravel(expected))[0, 1] > least
    migrated = migrate(graph, target, images)
    assert migrated.equivalence in ("exact", "float noise")
    ops = {node.op for node in migrated.after.nodes}
    assert "ZeroPadding2D" not in ops and "BatchNormalization" not in ops


def pad(*amounts):
    return "ZeroPadding2D", {"padding": amounts}


def windows(op, **attrs):
    """Return the window with padding 'valid' and 'same'."""
    if op in ("Conv2D", "SeparableConv2D"):
        attrs["filters"] = 4
    return (op, {**attrs, "padding": "valid"}), (op, {**attrs, "padding": "same"})


GEOMETRIES = [
    # Size of the map, padding, window, chips that support the window
    (9, ((1, 1), (1, 1)), windows("Conv2D", kernel_size=3, strides=2), OPTIONS),
    (9, ((1, 1), (1, 1)), windows("SeparableConv2D", kernel_size=3, strides=2), ["akida_v1"]),
    (9, ((1, 1), (1, 1)), windows("DepthwiseConv2D", kernel_size=3, strides=2), ["akida_v2"]),
    (8, ((0, 1), (0, 1)), windows("Conv2D", kernel_size=3, strides=2), OPTIONS),
    (8, ((2, 2), (2, 2)), windows("Conv2D", kernel_size=5), OPTIONS),
    (9, ((0, 1), (0, 1)), windows("MaxPooling2D", pool_size=2), OPTIONS),
    (8, ((0, 1), (0, 1)), windows("MaxPooling2D", pool_size=3, strides=2), OPTIONS),
    (9, ((1, 1), (1, 1)), windows("MaxPooling2D", pool_size=3, strides=2), OPTIONS),
]


@pytest.mark.parametrize(
    ("size", "amounts", "window", "target"),
    [(*row, target) for *row, chips in GEOMETRIES for target in chips],
)
def test_a_folded_padding_gives_the_program_of_padding_same(size, amounts, window, target):
    after = [] if window[0][0] == "MaxPooling2D" else [RELU]
    padded, plain = (
        chain((size, size, 3), FIRST, RELU, *layers, *after, ("Flatten", {}), DENSE, dtype="uint8")
        for layers in ([pad(*amounts), window[0]], [window[1]])
    )
    images = random_images(plain, 32)
    np.testing.assert_array_equal(forward(padded, images), forward(plain, images))
    found, expected = (simulate(program_of(model, target), images) for model in (padded, plain))
    np.testing.assert_array_equal(found, expected)
