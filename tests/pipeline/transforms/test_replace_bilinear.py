"""Bilinear interpolation as transposed convolutions: equal inside, measured at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.config.sections import Quantization
from pipeline.graph.forward import forward
from pipeline.migration.migrate import migrate
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from pipeline.transforms import TRANSFORMS
from simulator import simulate
from tests.pipeline.chips.models import FIX
from tests.pipeline.transforms.small_networks import RELU, Builder, conv


def network(rows, columns, size, *after):
    made = Builder((rows, columns, 3), "uint8", 0)
    made.add(conv(), RELU, ("UpSampling2D", {"size": size, "interpolation": "bilinear"}), *after)
    return made.graph


@settings(max_examples=25)
@given(
    rows=st.integers(4, 9),
    columns=st.integers(4, 9),
    size=st.sampled_from([(2, 2), (2, 1), (3, 3), (4, 2), (1, 5)]),
)
def test_pixels_inside_are_the_same(rows, columns, size):
    graph = network(rows, columns, size)
    images = random_images(graph, 3)
    rewrite = TRANSFORMS["replace_bilinear"](graph)
    assert rewrite.changed and not rewrite.equivalent
    before, after = forward(graph, images), forward(rewrite.graph, images)
    top, left = (side // 2 for side in size)
    inner = np.s_[:, top : before.shape[1] - top, left : before.shape[2] - left]
    # Sums in another order: a few float32 roundings.
    tolerance = 1e-5 * np.abs(before).max()
    np.testing.assert_allclose(after[inner], before[inner], rtol=0, atol=tolerance)
    if size == (2, 2):
        first = after[:, 0, 1:-1], before[:, 0, 1:-1] * 0.75
        np.testing.assert_allclose(*first, rtol=0, atol=tolerance)
    assert not TRANSFORMS["replace_bilinear"](rewrite.graph).changed


def test_the_migration_says_that_outputs_change():
    graph = network(6, 7, 2, conv(), RELU)
    assert check(graph, "akida_v2").verdict == FIX
    images = random_images(graph, 8)
    found = migrate(graph, "akida_v2", images)
    assert found.equivalence == "approximate" and not found.check_after.hardware
    step = next(step for step in found.steps if step["transform"] == "replace_bilinear")
    assert step["max_abs_difference"] > 0
    program = convert(quantize(found.after, images, Quantization()), "akida_v2")
    assert np.all(np.isfinite(simulate(program, images)))


@pytest.mark.parametrize("size", [3, (2, 1), 4])
def test_other_sizes_run_on_the_emulator(size):
    graph = network(6, 7, size, conv(), RELU)
    report = check(graph, "akida_v2")
    assert report.verdict == FIX
    images = random_images(graph, 4)
    found = migrate(graph, "akida_v2", images)
    assert "transposed_convolution" in {v.rule for v in found.check_after.hardware}
    program = convert(quantize(found.after, images, Quantization()), "akida_v2")
    assert np.all(np.isfinite(simulate(program, images)))
